/** What a digest knows of the rows of one write, in one array per column: nothing is allocated when a row is added. */

/** A row's states. */
export const ROW_IDLE = 0;
export const ROW_WAITS = 1; // for its turn, or for room in the ring
export const ROW_HANDED = 2; // until its entry is carried out

export class RowTable {
  /** One of ROW_IDLE, ROW_WAITS and ROW_HANDED. */
  readonly state: Uint8Array;
  /** The number of the entry that it was handed over with. */
  readonly entry: Int32Array;
  /** Where its bytes begin in the row memory. */
  readonly start: Float64Array;
  /** Where its bytes stand in the file. */
  readonly position: Float64Array;
  readonly length: Int32Array;
  /** The index of its chunk, of a row that is compared. */
  readonly chunk: Int32Array;

  constructor(rowCount: number) {
    this.state = new Uint8Array(rowCount);
    this.entry = new Int32Array(rowCount);
    this.start = new Float64Array(rowCount);
    this.position = new Float64Array(rowCount);
    this.length = new Int32Array(rowCount);
    this.chunk = new Int32Array(rowCount);
  }
}
