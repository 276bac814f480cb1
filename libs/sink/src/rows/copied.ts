/**
 * Rows that are read from a file before they are written: at once if the page cache has them, else from the disk. Its holes
 * may be passed over.
 */
import { constants } from 'node:os';
import { native, roundUp } from '@penstock/native';
import { CachedReads } from '../origin/cached-reads.ts';
import type { Origin } from '../origin/origin.ts';
import type { Target } from '../target/target.ts';
import { READ_ROW, WRITE_ROW } from '../thread/transfer.ts';
import { RowFeed } from './feed.ts';

const { ENXIO } = constants.errno;

export class CopiedFeed extends RowFeed {
  readonly #source: Origin;
  readonly #target: Target;
  readonly #cached: CachedReads;
  /** The address of the thread's row memory. */
  readonly #arenaAddress: number;
  readonly #keepsHoles: boolean;

  constructor(origin: Origin, target: Target, arenaAddress: number, end: number, keepsHoles: boolean) {
    super(end, origin, true);
    this.#source = origin;
    this.#target = target;
    this.#cached = new CachedReads(origin);
    this.#arenaAddress = arenaAddress;
    this.#keepsHoles = keepsHoles;
  }

  override next(_row: number, rowStart: number, position: number, length: number): number {
    // Rows that begin behind others' bytes are not read directly, so a position is an offset of the source here.
    const isRead = this.#cached.read(this.#arenaAddress + rowStart, length, this.#source.start + position);
    return isRead ? WRITE_ROW : READ_ROW;
  }

  /** Data is widened at both ends to what direct I/O takes: two lseeks an extent. A hole is not written, and stays one. */
  override seek(position: number): number {
    if (!this.#keepsHoles) return position;
    const origin = this.#source;
    const align = Math.max(origin.alignment.offset, this.#target.alignment.offset);
    this.dataEnd = this.end;
    const data = native.lseek(origin.fd, position, native.SEEK_DATA);
    // ENXIO: no data is left. Else the file system cannot say: all the rest is data, and its read names any other failure.
    if (data < 0) return data === -ENXIO ? this.end : position;
    if (data >= this.end) return this.end;
    const hole = native.lseek(origin.fd, data, native.SEEK_HOLE);
    if (hole > data) this.dataEnd = Math.min(this.end, roundUp(hole, align));
    return data - (data % align);
  }
}
