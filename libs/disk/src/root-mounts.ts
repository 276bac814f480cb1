/**
 * Which mount each root is expected on: decided by the main thread from mountinfo, for the writer threads.
 *
 * Reading mountinfo waits for no disk. Only recheck() touches a root's own file system, which may hang.
 */
import { realpath } from 'node:fs/promises';
import { performance } from 'node:perf_hooks';
import { setTimeout } from 'node:timers/promises';
import { type Mount, hasMountsBelow, isWithin, lineage, mountOf, readMounts } from './mounts.ts';
import type { RootConfig } from './roots.ts';
import { ANY_MOUNT, NO_MOUNT } from './root-words.ts';

/** mountinfo is read again for a write if it was read longer ago than this. */
const READ_VALID_MS = 1000;
/** How long a root's file system may take to resolve the root's path. */
const ANSWER_MS_MAX = 2000;

/** What is known of one root. */
interface RootState {
  index: number;
  path: string;
  /** null before the first recheck(): until then any mount is right. */
  realPath: string | null;
  /** The mount that it is on, or was on before that was unmounted; null until that is known. */
  mount: Mount | null;
  /** The ids of the mounts that one is mounted on: what shows again once it is unmounted. */
  below: ReadonlySet<number>;
  /** `mount` is unmounted, and what shows in its state is not to be used. */
  isGone: boolean;
  /** Something is mounted on a directory inside the root. */
  isDivided: boolean;
  /** Its path is being resolved. */
  resolving: Promise<string | null> | null;
}

export interface RootMountsOptions {
  roots: readonly RootConfig[];
  /** Called with a root's index and the mount that it is expected on from now on: its id, ANY_MOUNT or NO_MOUNT. */
  expect: (root: number, mount: number) => void;
  /** Called with the name of a root that is now on another mount than before, and with that mount. */
  onMoved?: ((root: string, mount: Mount) => void) | undefined;
  /** Reads what is mounted; another function in tests. */
  read?: () => readonly Mount[];
}

/** The mounts of all roots of a host, kept up to date. */
export class RootMounts {
  readonly #options: RootMountsOptions;
  readonly #states: ReadonlyMap<string, RootState>;
  #mounts: readonly Mount[] = [];
  #readAtMs = Number.NEGATIVE_INFINITY;
  #gone = 0;

  constructor(options: RootMountsOptions) {
    this.#options = options;
    const states = options.roots.map(({ name, path }, index): [string, RootState] => [
      name,
      { index, path, realPath: null, mount: null, below: new Set(), isGone: false, isDivided: false, resolving: null },
    ]);
    this.#states = new Map(states);
  }

  /** Reads mountinfo again, once a second at most. */
  refresh(): void {
    if (performance.now() - this.#readAtMs > READ_VALID_MS) this.#read();
  }

  /**
   * Reads mountinfo again, and resolves the symbolic links of the root's path; never rejects. It takes up to two seconds if
   * the root's file system does not answer; no second call is made to it meanwhile. The mount that is found the first time
   * is the right one.
   */
  async recheck(name: string): Promise<void> {
    const state = this.#states.get(name);
    if (state === undefined) return;
    const before = state.realPath;
    state.resolving ??= realpath(state.path)
      .catch(() => null) // a missing directory is reported to the write that opens it
      .finally(() => {
        state.resolving = null;
      });
    state.realPath = (await Promise.race([state.resolving, setTimeout(ANSWER_MS_MAX, null, { ref: false })])) ?? before;
    this.#read(state.realPath === before || before === null ? null : state);
  }

  /** What was mounted at the root and is unmounted; null if it is still mounted. */
  goneFrom(name: string): Mount | null {
    const state = this.#states.get(name);
    return state?.isGone === true ? state.mount : null;
  }

  /** True if what was mounted at any of the roots is unmounted. */
  get hasGone(): boolean {
    return this.#gone > 0;
  }

  /** The mount that files directly in the root are on. */
  mountOf(name: string): Mount | null {
    return this.#states.get(name)?.mount ?? null;
  }

  /** True if something is mounted on a directory inside the root. */
  isDivided(name: string): boolean {
    const state = this.#states.get(name);
    return state?.isDivided === true;
  }

  /** The mount of the absolute, real `path`; the root's own if `path` does not lie in the root. */
  mountBelow(name: string, path: string): Mount | null {
    const state = this.#states.get(name);
    const top = state?.realPath ?? path;
    return isWithin(path, top) ? (mountOf(this.#mounts, path) ?? null) : this.mountOf(name);
  }

  /** @param repointed the root whose path leads elsewhere than before, because a link in it was changed */
  #read(repointed: RootState | null = null): void {
    const mounts = (this.#options.read ?? readMounts)();
    const isSame = mounts === this.#mounts && repointed === null;
    this.#mounts = mounts;
    this.#readAtMs = performance.now();
    for (const [name, state] of this.#states) {
      if (state.realPath === null || (isSame && state.mount !== null)) continue;
      state.isDivided = hasMountsBelow(mounts, state.realPath);
      this.#decide(name, state, state === repointed);
    }
  }

  #decide(name: string, state: RootState, repointed: boolean): void {
    const line = lineage(this.#mounts, state.realPath!);
    const now = line.at(-1);
    // An automount is mounted once somebody opens it: whatever that mounts is right.
    if (now === undefined || now.fileSystem === 'autofs') {
      this.#options.expect(state.index, ANY_MOUNT);
      state.mount = null;
      if (state.isGone) this.#gone -= 1;
      state.isGone = false;
      return;
    }
    const was = state.mount;
    const stands = was !== null && was.id === now.id && was.device === now.device;
    // What shows after an unmount is not the root: a bare directory would take what was meant for a disk. It is the root if
    // a link was changed and the disk is mounted as before: then somebody wanted it so.
    const wasGone = state.isGone;
    const uncovered =
      was !== null && state.below.has(now.id) && !(repointed && this.#mounts.some(({ id }) => id === was.id));
    state.isGone = uncovered && !stands;
    this.#gone += Number(state.isGone) - Number(wasGone);
    if (!stands && !state.isGone) {
      state.mount = now;
      state.below = new Set(line.slice(0, -1).map(({ id }) => id));
      if (was !== null) this.#options.onMoved?.(name, now);
    }
    this.#options.expect(state.index, state.isGone ? NO_MOUNT : now.id);
  }
}
