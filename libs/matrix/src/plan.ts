/**
 * How a write of any size is cut into I/O: rows where the disk can take them as they are, otherwise as many rows
 * gathered as make a length the disk accepts.
 */

/** The matrix of a request: `rows` rows of `rowBytes` bytes. */
export interface MatrixShape {
  rows: number;
  rowBytes: number;
}

export interface RowPlan {
  /** Bytes of one full iocb: one row, or several gathered. A multiple of the offset alignment. */
  ioBytes: number;
  /** Bytes from one buffer row to the next: ioBytes, kept to the memory alignment. */
  rowStride: number;
  /** Buffer rows to ask the arena for. */
  bufferRows: number;
}

const roundUp = (value: number, multiple: number): number => Math.ceil(value / multiple) * multiple;

/** The default matrix: rows of 1 MiB, 32 of them, which is where every disk measured so far stops gaining. */
const DEFAULT_ROW_BYTES = 1_048_576;
const DEFAULT_ROWS = 32;

/** The matrix for a write of `size` bytes whose request names none: small files get one row, not 32 MiB. */
export function chooseMatrix(size: number): MatrixShape {
  const rowBytes = Math.max(4096, Math.min(DEFAULT_ROW_BYTES, roundUp(size, 4096)));
  return { rows: Math.max(1, Math.min(DEFAULT_ROWS, Math.ceil(size / rowBytes))), rowBytes };
}

/**
 * Plans the I/O of `size` bytes through `shape`, for a file that wants `memoryAlign` and `offsetAlign` (powers of
 * two; 1 where it does not care), with at most `depth` iocbs in flight and `budgetBytes` of row memory.
 * Returns null where even one row does not fit the budget.
 */
export function planRows(
  size: number,
  shape: MatrixShape,
  memoryAlign: number,
  offsetAlign: number,
  depth: number,
  budgetBytes: number,
): RowPlan | null {
  // A row that the disk cannot write directly is gathered with its neighbours, up to the next length it accepts.
  const ioBytes = roundUp(shape.rowBytes, offsetAlign);
  const rowStride = roundUp(ioBytes, memoryAlign);
  const matrixRows = Math.max(1, Math.floor((shape.rows * shape.rowBytes) / ioBytes));
  const wanted = Math.max(1, Math.min(matrixRows, depth, Math.ceil(size / ioBytes)));
  const fitting = Math.floor(budgetBytes / rowStride);
  return fitting < 1 ? null : { ioBytes, rowStride, bufferRows: Math.min(wanted, fitting) };
}
