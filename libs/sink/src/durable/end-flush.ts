/**
 * The flushes at the end of a write: of its file; of its name, which it shares with the other writes of its group; and, if
 * the file system requires it, of the file that it has replaced (freed-blocks.ts).
 */
import { IoError } from '@penstock/contract';
import { native } from '@penstock/native';
import { CLOSED_FILE, NO_FILE } from '../device/freed-blocks.ts';
import { flushDirectory, hasNoFsync } from '@penstock/disk';
import type { FlushGroup, FlushWaiter } from '../device/flush-groups.ts';
import type { Target } from '../target/target.ts';
import { type FlushCall, completeFlush, prepFlush } from '../thread/flush.ts';
import type { WriterThread } from '../thread/thread.ts';
import { SYNC_DIRECTORY, SYNC_FILE, SYNC_REPLACED } from '../thread/transfer.ts';

/** The flushes of one write. */
export class EndFlush {
  readonly #thread: WriterThread;
  readonly #target: Target;
  #fileIssued = false;
  /** The call of the file's flush, which its failure names. */
  #fileCall: FlushCall = 'fdatasync';
  /** The group whose flush this write waits for. */
  #group: FlushGroup | null = null;
  /** The directory of the group's flush, if this write has submitted it. */
  #flushingDirFd = -1;
  /** The group's flush has succeeded. */
  nameIsFlushed = false;
  /** A syncfs is needed. */
  #everythingIsDue = false;
  #replacedIssued = false;

  constructor(thread: WriterThread, target: Target) {
    this.#thread = thread;
    this.#target = target;
  }

  /** Prepares the flush of the file, once; if `whole`, of its permissions and times too. False if it is under way. */
  prepareFile(slot: number, whole: boolean): boolean {
    if (this.#fileIssued) return false;
    this.#fileIssued = true;
    this.#fileCall = whole ? 'fsync' : 'fdatasync';
    prepFlush(this.#thread, slot, SYNC_FILE, this.#fileCall, this.#target.fd);
    return true;
  }

  /** Takes the completion of the file's flush. @throws IoError */
  afterFile(slot: number, result: number, refused: boolean): void {
    // Not repeated if it failed: the next attempt writes a new file.
    completeFlush(this.#thread, slot, this.#fileCall, this.#target, result, refused);
  }

  /**
   * The file has just got its name.
   * @param again an earlier attempt may have died after it had replaced the file, and before that was flushed
   */
  notePublished(again: boolean): void {
    const { forgetsFreed, replaced } = this.#target;
    this.#everythingIsDue = forgetsFreed && (again || replaced.fd === CLOSED_FILE);
  }

  /** True if what was replaced is to be flushed, after the name. */
  get replacedIsDue(): boolean {
    const { forgetsFreed, replaced } = this.#target;
    return (forgetsFreed && replaced.fd !== NO_FILE) || this.#everythingIsDue;
  }

  /** Prepares the flush of the name, and once that is done the one of what was replaced; false if there is nothing to do now. @throws IoError */
  prepareName(slot: number): boolean {
    return this.nameIsFlushed ? this.#prepareReplaced(slot) : this.#prepareDirectory(slot);
  }

  #prepareReplaced(slot: number): boolean {
    if (this.#replacedIssued) return false;
    this.#replacedIssued = true;
    this.#removeReplaced();
    const { dirFd, path } = this.#target;
    // What could not be opened is flushed with the whole file system, in a call that blocks; this is rare.
    const result = this.#everythingIsDue ? native.syncfs(dirFd) : 0;
    if (result < 0) throw new IoError({ syscall: 'syncfs', errno: result, path });
    prepFlush(this.#thread, slot, SYNC_REPLACED, 'fsync', this.#replacedFd);
    return true;
  }

  /** Takes the completion of the flush of what was replaced. @throws IoError */
  afterReplaced(slot: number, result: number, refused: boolean): void {
    const replaced = { fd: this.#replacedFd, path: this.#target.path };
    completeFlush(this.#thread, slot, 'fsync', replaced, result, refused);
  }

  /** If it could not be opened, syncfs has flushed it, and the directory is flushed in its stead. */
  get #replacedFd(): number {
    const { dirFd, replaced } = this.#target;
    return replaced.fd >= 0 ? replaced.fd : dirFd;
  }

  #removeReplaced(): void {
    const { dirFd, replaced } = this.#target;
    if (replaced.name !== null) native.unlinkat(dirFd, replaced.name);
    replaced.name = null;
  }

  /** Removes and closes what was replaced, or leaves that to another thread. Nothing may be in flight. */
  close(): void {
    this.#removeReplaced();
    const { replaced, replacedBytes, standing } = this.#target;
    if (replaced.fd >= 0) this.#thread.freeing.close(replaced.fd, replacedBytes, standing.device);
    replaced.fd = NO_FILE;
  }

  /** To be called right after the rename: the group flushes the directory of its last rename. */
  join(waiter: FlushWaiter): void {
    this.#group = this.#thread.flushGroups.of(this.#target.flushGroup);
    this.#group.join(waiter, this.#target.dirFd);
  }

  /** Prepares the flush for all who wait in the group; false if the flush of another write is under way, or covers this one. */
  #prepareDirectory(slot: number): boolean {
    const newestDirFd = this.#group!.begin();
    if (newestDirFd === -1) return false;
    prepFlush(this.#thread, slot, SYNC_DIRECTORY, 'fsync', newestDirFd);
    this.#flushingDirFd = newestDirFd;
    return true;
  }

  /** Takes the completion of the group's flush, and notifies all that it covers. */
  afterDirectory(slot: number, result: number): void {
    const { engine, flushGroups } = this.#thread;
    engine.releaseSlot(slot);
    this.#group!.end(hasNoFsync(result) ? flushDirectory(this.#flushingDirFd) : result);
    flushGroups.forgetIfIdle(this.#target.flushGroup);
  }
}
