/**
 * Groups of writes that share one fsync of a directory, which makes every earlier rename in it durable: writes that finish
 * at about the same time need not wait for a flush each. Nothing is acknowledged early: a write that joins while a flush is
 * under way waits for the next one.
 *
 * If the file system commits all its changes together (libs/disk, journal.ts), a group is the whole file system, and the
 * flush covers the bytes of small files too. On any other a group is one directory.
 *
 * The decision: libs/README.md#flush-of-a-directory.
 */

/** A write that waits for its name to be durable. */
export interface FlushWaiter {
  /** Called once: with 0 if the group is flushed, with -errno if the flush failed. */
  flushed(result: number): void;
}

/** The writes that share one flush. */
export class FlushGroup {
  /** Those whose renames came before the flush that is under way, which covers them. */
  #covered: FlushWaiter[] = [];
  #waiting: FlushWaiter[] = [];
  #newestDirFd = -1;
  #underWay = false;

  /** `waiter` has just renamed its file in the directory `dirFd`, which stays open until `waiter` is notified. */
  join(waiter: FlushWaiter, dirFd: number): void {
    this.#waiting.push(waiter);
    this.#newestDirFd = dirFd;
  }

  /**
   * The directory to fsync now, for all who wait; -1 if there is nothing to do. It is the directory of the last rename: an
   * fsync commits up to the newest change of its own directory, and no further.
   */
  begin(): number {
    if (this.#underWay || this.#waiting.length === 0) return -1;
    this.#underWay = true;
    this.#covered = this.#waiting;
    this.#waiting = [];
    return this.#newestDirFd;
  }

  /** The flush has ended: notifies all that it covers. */
  end(result: number): void {
    const covered = this.#covered;
    this.#covered = [];
    this.#underWay = false;
    for (const waiter of covered) waiter.flushed(result);
  }

  get idle(): boolean {
    return !this.#underWay && this.#waiting.length === 0;
  }
}

/** The groups of one thread that have waiting writes. */
export class FlushGroups {
  readonly #byName = new Map<string, FlushGroup>();

  /** The group of this name: a device, or a directory's device and inode. */
  of(name: string): FlushGroup {
    let group = this.#byName.get(name);
    if (group === undefined) {
      group = new FlushGroup();
      this.#byName.set(name, group);
    }
    return group;
  }

  /** Forgets the group if no write waits in it. */
  forgetIfIdle(name: string): void {
    if (this.#byName.get(name)?.idle === true) this.#byName.delete(name);
  }
}
