/**
 * One fsync of a directory serves every rename in it that came before: writes that finish in the same directory at
 * about the same time share a flush instead of queueing up for one each. Nothing is acknowledged early: whoever comes
 * while a flush is under way waits for the next.
 */

/** A write that waits for its name to be durable. */
export interface DirectorySyncWaiter {
  /** Told once the directory is flushed (0), or why it is not (-errno). */
  directorySynced(result: number): void;
}

/** The waiters of one directory. */
export class DirectorySync {
  /** They wait for the flush that is under way: their renames came before it was submitted. */
  #covered: DirectorySyncWaiter[] = [];
  #waiting: DirectorySyncWaiter[] = [];
  #underWay = false;

  join(waiter: DirectorySyncWaiter): void {
    this.#waiting.push(waiter);
  }

  /** True if the caller is to submit the flush now: it then covers all who wait. */
  begin(): boolean {
    if (this.#underWay || this.#waiting.length === 0) return false;
    this.#underWay = true;
    this.#covered = this.#waiting;
    this.#waiting = [];
    return true;
  }

  /** The flush ended: tells all whom it covered. */
  end(result: number): void {
    const covered = this.#covered;
    this.#covered = [];
    this.#underWay = false;
    for (const waiter of covered) waiter.directorySynced(result);
  }

  get idle(): boolean {
    return !this.#underWay && this.#waiting.length === 0;
  }
}

/** The directories of one thread in which writes end now, by device and inode. */
export class DirectorySyncs {
  readonly #byIdentity = new Map<string, DirectorySync>();

  /** The flushes of the directory with this identity. */
  of(identity: string): DirectorySync {
    let sync = this.#byIdentity.get(identity);
    if (sync === undefined) {
      sync = new DirectorySync();
      this.#byIdentity.set(identity, sync);
    }
    return sync;
  }

  /** Forgets a directory in which nobody waits any more. */
  forgetIfIdle(identity: string): void {
    if (this.#byIdentity.get(identity)?.idle === true) this.#byIdentity.delete(identity);
  }
}
