/**
 * One fsync of a directory serves every rename in it that came before: writes that finish at about the same time share
 * a flush instead of queueing up for one each. Nothing is acknowledged early: whoever comes while a flush is under way
 * waits for the next.
 *
 * Where the file system commits all its changes together (journal.ts) a group is a whole file system, and the flush
 * covers the small files themselves too. Elsewhere a group is one directory.
 */

/** A write that waits for its name to be durable. */
export interface FlushWaiter {
  /** Told once the group is flushed (0), or why it is not (-errno). */
  flushed(result: number): void;
}

/** Writes that one flush serves. */
export class FlushGroup {
  /** They wait for the flush that is under way: their renames came before it was submitted. */
  #covered: FlushWaiter[] = [];
  #waiting: FlushWaiter[] = [];
  #newestDirFd = -1;
  #underWay = false;

  /** `waiter` has just renamed its file in the directory `dirFd`, which stays open until it is told. */
  join(waiter: FlushWaiter, dirFd: number): void {
    this.#waiting.push(waiter);
    this.#newestDirFd = dirFd;
  }

  /**
   * The directory to fsync now, which covers all who wait; -1 if there is nothing to do. It is the one renamed in last:
   * an fsync commits up to the newest change of its own directory, and no further.
   */
  begin(): number {
    if (this.#underWay || this.#waiting.length === 0) return -1;
    this.#underWay = true;
    this.#covered = this.#waiting;
    this.#waiting = [];
    return this.#newestDirFd;
  }

  /** The flush ended: tells all whom it covered. */
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

/** The groups of one thread in which writes end now. */
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

  /** Forgets a group in which nobody waits any more. */
  forgetIfIdle(name: string): void {
    if (this.#byName.get(name)?.idle === true) this.#byName.delete(name);
  }
}
