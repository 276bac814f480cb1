/**
 * Which mount each root is to be found on. Decided by the main thread, by mountinfo alone, and handed to the writer
 * threads in shared words: but for lookAgain(), no call of it touches a root's own file system, which may hang.
 */
import { realpath } from 'node:fs/promises';
import { performance } from 'node:perf_hooks';
import { setTimeout } from 'node:timers/promises';
import { type Mount, hasMountsBelow, lineage, mountOf, readMounts } from './mounts.ts';
import type { RootConfig } from './roots.ts';
import { ANY_MOUNT, NO_MOUNT } from './root-words.ts';

/** How old may be what is known of the mounts when a write is begun. */
const BELIEVED_MS = 1000;
/** How long a root's file system may take to say where its path leads. */
const ANSWER_MS_MAX = 2000;

interface Place {
  index: number;
  path: string;
  /** null before it was first looked at: until then any mount is right. */
  realPath: string | null;
  /** What it is on, or was on when that went; null until that is known. */
  mount: Mount | null;
  /** The ids of the mounts below that one: what remains when it goes. */
  below: ReadonlySet<number>;
  isGone: boolean;
  /** Something is mounted below it. */
  isDivided: boolean;
  /** Its real path is being asked for. */
  asking: Promise<string | null> | null;
}

export interface RootMountsOptions {
  roots: readonly RootConfig[];
  /** Called with a root's index and the mount that it is to be found on from now on: its id, ANY_MOUNT or NO_MOUNT. */
  expect: (root: number, mount: number) => void;
  /** Called with the name of a root that is on another mount than before, and that mount. */
  onMoved?: ((root: string, mount: Mount) => void) | undefined;
  /** What is mounted now; for tests. */
  read?: () => readonly Mount[];
}

export class RootMounts {
  readonly #options: RootMountsOptions;
  readonly #places: ReadonlyMap<string, Place>;
  #mounts: readonly Mount[] = [];
  #readAtMs = Number.NEGATIVE_INFINITY;
  #gone = 0;

  constructor(options: RootMountsOptions) {
    this.#options = options;
    const places = options.roots.map(({ name, path }, index): [string, Place] => [
      name,
      { index, path, realPath: null, mount: null, below: new Set(), isGone: false, isDivided: false, asking: null },
    ]);
    this.#places = new Map(places);
  }

  /** Looks whether what is mounted has changed, once a second at most. */
  glance(): void {
    if (performance.now() - this.#readAtMs > BELIEVED_MS) this.#look();
  }

  /**
   * Looks again, at the links of the root's path too: never rejects. Takes a while where its file system does not answer,
   * which is asked one question at a time. What the root is on when it is first looked at is right.
   */
  async lookAgain(name: string): Promise<void> {
    const place = this.#places.get(name);
    if (place === undefined) return;
    const before = place.realPath;
    place.asking ??= realpath(place.path)
      .catch(() => null) // what is not there is found by whoever opens it
      .finally(() => {
        place.asking = null;
      });
    place.realPath = (await Promise.race([place.asking, setTimeout(ANSWER_MS_MAX, null, { ref: false })])) ?? before;
    this.#look(place.realPath === before || before === null ? null : place);
  }

  /** What was mounted at the root and is gone; null where it stands. */
  goneFrom(name: string): Mount | null {
    const place = this.#places.get(name);
    return place?.isGone === true ? place.mount : null;
  }

  /** True where something is gone that was mounted at any of the roots. */
  get hasGone(): boolean {
    return this.#gone > 0;
  }

  /** The mount that files directly in the root are on. */
  mountOf(name: string): Mount | null {
    return this.#places.get(name)?.mount ?? null;
  }

  /** True where some of what is below the root is another mount. */
  isDivided(name: string): boolean {
    const place = this.#places.get(name);
    return place?.isDivided === true;
  }

  /** The mount of the absolute, real `path`, if that lies in the root. */
  mountBelow(name: string, path: string): Mount | null {
    const place = this.#places.get(name);
    const top = place?.realPath ?? path;
    const isInside = path === top || path.startsWith(top === '/' ? '/' : `${top}/`);
    return isInside ? (mountOf(this.#mounts, path) ?? null) : this.mountOf(name);
  }

  #look(repointed: Place | null = null): void {
    const mounts = (this.#options.read ?? readMounts)();
    const isSame = mounts === this.#mounts && repointed === null;
    this.#mounts = mounts;
    this.#readAtMs = performance.now();
    for (const [name, place] of this.#places) {
      if (place.realPath === null || (isSame && place.mount !== null)) continue;
      place.isDivided = hasMountsBelow(mounts, place.realPath);
      this.#decide(name, place, place === repointed);
    }
  }

  #decide(name: string, place: Place, repointed: boolean): void {
    const line = lineage(this.#mounts, place.realPath!);
    const now = line.at(-1);
    // An automount is mounted by whoever opens it: what that comes to is right.
    if (now === undefined || now.fileSystem === 'autofs') {
      this.#options.expect(place.index, ANY_MOUNT);
      place.mount = null;
      if (place.isGone) this.#gone -= 1;
      place.isGone = false;
      return;
    }
    const was = place.mount;
    const stands = was !== null && was.id === now.id && was.device === now.device;
    // Uncovered, what lies below is not what the root was: a bare directory would take what was meant for a disk. Not so
    // where a link leads elsewhere now and the disk is mounted as before: that was somebody's intent.
    const wasGone = place.isGone;
    const uncovered =
      was !== null && place.below.has(now.id) && !(repointed && this.#mounts.some(({ id }) => id === was.id));
    place.isGone = uncovered && !stands;
    this.#gone += Number(place.isGone) - Number(wasGone);
    if (!stands && !place.isGone) {
      place.mount = now;
      place.below = new Set(line.slice(0, -1).map(({ id }) => id));
      if (was !== null) this.#options.onMoved?.(name, now);
    }
    this.#options.expect(place.index, place.isGone ? NO_MOUNT : now.id);
  }
}
