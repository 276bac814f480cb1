/**
 * Which file system a write takes its space from: its root's, unless another is mounted below the root, which has space
 * of its own.
 */
import { realpath } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { performance } from 'node:perf_hooks';
import type { RootConfig, RootMounts } from '@penstock/disk';
import { type AskSpace, FileSystem, answerInTime } from './file-system.ts';
import type { Need } from './needs.ts';

/** A root, and the file system that a file below it is on. */
export interface Place {
  root: RootConfig;
  fileSystem: FileSystem;
  /** As messages name it. */
  name: string;
}

/** What is mounted, as far as it is asked for here. */
export type Mounts = Pick<RootMounts, 'isDivided' | 'mountBelow' | 'mountOf'>;

/** How long it is remembered which file system a directory is on. */
const BELIEVED_MS = 1000;
/** Directories remembered at a time, of roots that have mounts below. */
const DIRECTORIES_MAX = 4096;

export class Places {
  readonly #mounts: Mounts | undefined;
  readonly #ask: AskSpace | undefined;
  readonly #byRoot = new Map<string, Place>();
  readonly #byDevice = new Map<number, FileSystem>();
  /** Of file systems that no root is on: by the device as mountinfo has it. */
  readonly #below = new Map<string, FileSystem>();
  readonly #byDirectory = new Map<string, { place: Place; atMs: number }>();

  /**
   * @param mounts absent: nothing is mounted below any root
   * @param ask what tests have instead of statfs
   */
  constructor(ask?: AskSpace, mounts?: Mounts) {
    this.#ask = ask;
    this.#mounts = mounts;
  }

  /** From now on `root` is known to be on the device of this number. */
  add(root: RootConfig, device: number): void {
    // Roots of one file system share what is free on it.
    const fileSystem = this.#byDevice.get(device) ?? new FileSystem(root.path, this.#ask);
    const before = this.#byRoot.get(root.name)?.fileSystem;
    this.#byDevice.set(device, fileSystem);
    this.#byRoot.set(root.name, { root, fileSystem, name: root.name });
    this.#byDirectory.clear();
    if (before !== undefined && before !== fileSystem) this.#leave(before);
  }

  /** A root is on `fileSystem` no more: it is asked at another that is, or forgotten. */
  #leave(fileSystem: FileSystem): void {
    const other = [...this.#byRoot.values()].find((place) => place.fileSystem === fileSystem);
    if (other !== undefined) {
      fileSystem.askAt(other.root.path);
      return;
    }
    for (const [device, known] of this.#byDevice) if (known === fileSystem) this.#byDevice.delete(device);
  }

  /** The file system of the root named `root`; undefined if it is not written to, or not known yet. */
  ofRoot(root: string): FileSystem | undefined {
    return this.#byRoot.get(root)?.fileSystem;
  }

  /** Where the file goes: undefined if its root is unknown, null if find() has to look it up. */
  known({ root, path }: Need): Place | undefined | null {
    const whole = this.#byRoot.get(root);
    if (whole === undefined || this.#mounts?.isDivided(root) !== true) return whole;
    const kept = this.#byDirectory.get(keyOf(root, path));
    return kept !== undefined && performance.now() - kept.atMs <= BELIEVED_MS ? kept.place : null;
  }

  /** The same, looked up. @throws (rejects with) IoError ETIMEDOUT if a file system on the way does not answer */
  async find(need: Need): Promise<Place | undefined> {
    const known = this.known(need);
    if (known !== null) return known;
    const whole = this.#byRoot.get(need.root)!;
    const directory = await answerInTime(nearest(dirname(join(whole.root.path, need.path))), whole.root.path);
    const place = this.#placeOf(whole, directory);
    if (this.#byDirectory.size >= DIRECTORIES_MAX) this.#byDirectory.clear();
    this.#byDirectory.set(keyOf(need.root, need.path), { place, atMs: performance.now() });
    return place;
  }

  #placeOf(whole: Place, directory: string): Place {
    const mounts = this.#mounts!;
    const { root } = whole;
    const mount = mounts.mountBelow(root.name, directory);
    if (mount === null || mount.device === mounts.mountOf(root.name)?.device) return whole;
    const other = [...this.#byRoot.values()].find(
      ({ root: { name } }) => mounts.mountOf(name)?.device === mount.device,
    );
    const fileSystem = other?.fileSystem ?? this.#below.get(mount.device) ?? new FileSystem(mount.directory, this.#ask);
    if (other === undefined) this.#below.set(mount.device, fileSystem);
    return { root, fileSystem, name: `${mount.directory} in ${root.name}` };
  }
}

const keyOf = (root: string, path: string): string => `${root}\0${dirname(path)}`;

/** The real path of `directory`, or of the nearest above it that exists: what is missing will be made there. */
async function nearest(directory: string): Promise<string> {
  const real = await realpath(directory).catch(() => null);
  return real ?? (directory === '/' ? directory : nearest(dirname(directory)));
}
