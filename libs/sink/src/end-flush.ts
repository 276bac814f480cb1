/** The flushes at the end of a write: its file's own, and that of its name, which serves every write of its group. */
import { constants } from 'node:os';
import { IoError } from '@penstock/contract';
import { native } from '@penstock/aio';
import type { FlushGroup, FlushWaiter } from './flush-groups.ts';
import type { Target } from './target.ts';
import { SYNC_DIRECTORY, SYNC_FILE, type WriterThread } from './thread.ts';

const { EINVAL } = constants.errno;

export class EndFlush {
  readonly #thread: WriterThread;
  readonly #target: Target;
  #fileIssued = false;
  /** The call that the file's flush stands for: what a failure names. */
  #fileCall: 'fsync' | 'fdatasync' = 'fdatasync';
  /** Whose flush is waited for. */
  #group: FlushGroup | null = null;
  /** The directory of the flush that this write submitted. */
  #flushingDirFd = -1;

  constructor(thread: WriterThread, target: Target) {
    this.#thread = thread;
    this.#target = target;
  }

  /** Prepares the flush of the file, once; `whole`: of its permissions and times too. False if it is under way. */
  prepareFile(slot: number, whole: boolean): boolean {
    if (this.#fileIssued) return false;
    this.#fileIssued = true;
    const { engine, slots } = this.#thread;
    slots.purpose[slot] = SYNC_FILE;
    this.#fileCall = whole ? 'fsync' : 'fdatasync';
    if (whole) engine.prepFsync(slot, this.#target.fd);
    else engine.prepFdatasync(slot, this.#target.fd);
    return true;
  }

  /** Takes the file's flush. @throws IoError */
  afterFile(slot: number, result: number, refused: boolean): void {
    this.#thread.engine.releaseSlot(slot);
    const { fd, path } = this.#target;
    // Before Linux 4.18 AIO knows no fsync: the plain call blocks the thread, and is as durable.
    const outcome = refused && result === -EINVAL ? native.fsync(fd) : result;
    // The kernel forgets a failed flush (fsyncgate): it is never repeated, the next attempt writes a fresh file.
    if (outcome < 0) throw new IoError({ syscall: this.#fileCall, errno: outcome, path });
  }

  /** The file has just got its name. At once: the group flushes the directory that was renamed in last. */
  join(waiter: FlushWaiter): void {
    this.#group = this.#thread.flushGroups.of(this.#target.flushGroup);
    this.#group.join(waiter, this.#target.dirFd);
  }

  /** Prepares the flush for all that wait in the group; false where another's is under way, or covers this one. */
  prepareDirectory(slot: number): boolean {
    const newestDirFd = this.#group!.begin();
    if (newestDirFd === -1) return false;
    const { engine, slots } = this.#thread;
    slots.purpose[slot] = SYNC_DIRECTORY;
    engine.prepFsync(slot, newestDirFd);
    this.#flushingDirFd = newestDirFd;
    return true;
  }

  /** Takes the group's flush, and tells all that it covers. */
  afterDirectory(slot: number, result: number, refused: boolean): void {
    const { engine, flushGroups } = this.#thread;
    engine.releaseSlot(slot);
    this.#group!.end(refused && result === -EINVAL ? native.fsync(this.#flushingDirFd) : result);
    flushGroups.forgetIfIdle(this.#target.flushGroup);
  }
}
