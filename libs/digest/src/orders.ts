/** What is asked of the digest thread, one order for each entry of its ring, and what it reports of them. */
import type { ChecksumName } from '@penstock/contract';
import { extendCrc32c } from './crc32c.ts';
import { FileSums } from './file-sums.ts';

/** A file begins. `length`: an index of ALGORITHMS; `chunk`: 1 if chunks are kept. */
export const OPEN = 0;
/** The next row of the file: `length` bytes from `start` of the row memory. */
export const ADD_ROW = 1;
/** `position` zeros are next. */
export const ADD_ZEROS = 2;
/** All is added. Asks for the sum. */
export const FINISH = 3;
/** `length` bytes from `start` were read back: they must be what was added as chunk `chunk`, at `position` of the file. */
export const COMPARE_ROW = 4;
/** Nothing more is compared. Asks for a report when all of it is. */
export const END_COMPARISON = 5;
/** The file is done with, or given up. */
export const CLOSE = 6;

/** OPEN has an index of these. */
export const ALGORITHMS: readonly (ChecksumName | null)[] = [null, 'crc32c', 'sha256'];

/** A chunk that reads otherwise than it was written: its place, and the crc32c of both. */
export interface ChunkMismatch {
  position: number;
  length: number;
  written: number;
  read: number;
}

/** What the digest reports of a file. */
export type Report = { stream: number } & ({ sum: string } | { mismatch: ChunkMismatch } | { compared: true });

/** The files whose bytes pass now, and what is done with each order; on the digest thread or, for small files, beside. */
export class OpenSums {
  readonly #rows: Uint8Array;
  readonly #report: (report: Report) => void;
  readonly #files = new Map<number, FileSums>();

  /** @param rows the row memory that orders point into; only read */
  constructor(rows: Uint8Array, report: (report: Report) => void) {
    this.#rows = rows;
    this.#report = report;
  }

  carryOut(order: number, stream: number, start: number, length: number, chunk: number, position: number): void {
    if (order === OPEN) {
      this.#files.set(stream, new FileSums(ALGORITHMS[length]!, chunk === 1));
      return;
    }
    if (order === CLOSE) {
      this.#files.delete(stream);
      return;
    }
    const file = this.#files.get(stream)!;
    if (order === ADD_ROW) file.add(this.#rows.subarray(start, start + length));
    else if (order === ADD_ZEROS) file.addZeros(position);
    else if (order === FINISH) this.#report({ stream, sum: file.finish() });
    else if (order === END_COMPARISON) this.#report({ stream, compared: true });
    else this.#compare(file, stream, start, length, chunk, position);
  }

  #compare(file: FileSums, stream: number, start: number, length: number, chunk: number, position: number): void {
    const read = extendCrc32c(0, this.#rows.subarray(start, start + length));
    const written = file.chunk(chunk);
    if (read !== written) this.#report({ stream, mismatch: { position, length, written, read } });
  }
}
