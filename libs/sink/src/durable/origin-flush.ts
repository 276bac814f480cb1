/**
 * The flush of a source before its holes are skipped: SEEK_DATA may not see what is in the page cache alone. On ext4 it does
 * not in a file without extents (made while the file system was an ext3, or `chattr -e`): bytes that were just written behind
 * a hole still appear as a hole until they are written out. If all is written out, it costs one flush.
 */
import { constants } from 'node:os';
import { IoError } from '@penstock/contract';
import type { Origin } from '../origin/origin.ts';
import { prepFlush, takeFlush } from '../thread/flush.ts';
import type { WriterThread } from '../thread/thread.ts';
import { SYNC_ORIGIN } from '../thread/transfer.ts';

const { EINVAL, EROFS } = constants.errno;

/** The flush of one source. */
export class OriginFlush {
  /** Everything that the source had when it was opened is on its disk. */
  isDone = false;

  readonly #thread: WriterThread;
  readonly #origin: Origin;
  #isUnderWay = false;

  constructor(thread: WriterThread, origin: Origin) {
    this.#thread = thread;
    this.#origin = origin;
  }

  /** Prepares the flush, once. False if it is under way. */
  prepare(slot: number): boolean {
    if (this.#isUnderWay) return false;
    this.#isUnderWay = true;
    prepFlush(this.#thread, slot, SYNC_ORIGIN, 'fdatasync', this.#origin.fd);
    return true;
  }

  /** Takes its completion. @throws IoError if it failed: holes could be bytes that did not reach the disk */
  after(slot: number, result: number, refused: boolean): void {
    const { fd, path } = this.#origin;
    const outcome = takeFlush(this.#thread, slot, 'fdatasync', fd, result, refused);
    // A file system that is never written (squashfs, erofs) has no flush and needs none.
    const isReadOnly = outcome === -EINVAL || outcome === -EROFS;
    if (outcome < 0 && !isReadOnly) throw new IoError({ syscall: 'fdatasync', errno: outcome, path });
    this.isDone = true;
  }
}
