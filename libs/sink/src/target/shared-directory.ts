/**
 * Directories that files of up to 1 MiB are made in, each opened once for all of a thread's writes that want it at the same time.
 *
 * A directory is opened as for a single write: beneath its root, by the kernel (libs/disk, beneath.ts). Another write uses it
 * too only if it had been handed over by then, and no more than 50 ms ago. So all that differs for that write is that it
 * seems to have begun a moment earlier, as it may have at any time: a directory that was moved, replaced or linked elsewhere
 * before a job was added is never used for that job. Nothing stays open beyond the last write that uses it.
 *
 * The decision: libs/README.md#directory-of-many-files.
 */
import { performance } from 'node:perf_hooks';
import {
  DIRECTORIES_MAX,
  type FileStat,
  type FileSystem,
  type Ground,
  type Root,
  type Roots,
  groundOf,
  fileSystemOf,
  openParent,
  statFd,
} from '@penstock/disk';
import { native } from '@penstock/native';
import type { FileFacts } from './io-mode.ts';

/** As long as a root counts as checked (libs/disk, roots.ts). */
const SHARED_MS = 50;

/** One of them, open. */
export class SharedDirectory {
  readonly fd: number;
  readonly key: string;
  /** What the kernel reported about it when it was opened. */
  readonly stat: FileStat;
  /** The file system that what is made in it lies on, and what that stands on. */
  readonly fileSystem: FileSystem;
  readonly ground: Ground;
  readonly generation: number;
  /** The newest write that had been handed over when it was opened. */
  readonly arrival: number;
  readonly place: number;
  readonly openedAtMs: number;
  /** What is true of each file made in it by direct I/O; null before the first. */
  facts: FileFacts | null = null;
  users = 1;
  readonly #owner: SharedDirectories;

  constructor(
    owner: SharedDirectories,
    fd: number,
    root: Root,
    path: string,
    key: string,
    arrival: number,
    place: number,
    nowMs: number,
  ) {
    this.#owner = owner;
    this.fd = fd;
    this.key = key;
    this.generation = root.generation;
    this.arrival = arrival;
    this.place = place;
    this.openedAtMs = nowMs;
    this.stat = statFd(fd, path);
    this.fileSystem = fileSystemOf(fd, path);
    this.ground = groundOf(fd, this.fileSystem, this.stat.device);
  }

  /** One write less uses it; after the last it is closed. */
  release(): void {
    this.users -= 1;
    if (this.users === 0) this.#owner.close(this);
  }
}

/** Those of one thread. */
export class SharedDirectories {
  readonly #roots: Roots;
  /** By root and path: the newest of each. */
  readonly #newest = new Map<string, SharedDirectory>();
  /** Places among the thread's recorded descriptors that are free. */
  readonly #places: number[] = Array.from({ length: DIRECTORIES_MAX }, (_, index) => DIRECTORIES_MAX - 1 - index);

  constructor(roots: Roots) {
    this.#roots = roots;
  }

  /**
   * The directory `path` below `root`, for a write that release()s it at its end. Makes the directories that are missing.
   * @param arrival the number of that write, by the order in which writes were handed to the thread
   * @param newestArrival that of the last one handed over until now
   * @returns null if as many directories are shared as can be recorded: the write opens its own
   * @throws IoError
   */
  open(
    root: Root,
    path: string,
    arrival: number,
    newestArrival: number,
    nowMs: number = performance.now(),
  ): SharedDirectory | null {
    const key = `${root.name}\0${path}`;
    const newest = this.#newest.get(key);
    if (newest !== undefined && isGoodFor(newest, root, arrival, nowMs)) {
      newest.users += 1;
      return newest;
    }
    const place = this.#places.pop();
    if (place === undefined) return null;
    let fd = -1;
    try {
      fd = openParent(root, path);
      this.#roots.recordDirectory(place, fd);
      const directory = new SharedDirectory(this, fd, root, `${root.path}/${path}`, key, newestArrival, place, nowMs);
      this.#newest.set(key, directory);
      return directory;
    } catch (error) {
      this.#close(fd, place);
      throw error;
    }
  }

  /** No other write is to share it: what stands at its path is another directory by now, or none. */
  forget(directory: SharedDirectory): void {
    if (this.#newest.get(directory.key) === directory) this.#newest.delete(directory.key);
  }

  /** No write uses it any more. */
  close(directory: SharedDirectory): void {
    this.forget(directory);
    this.#close(directory.fd, directory.place);
  }

  #close(fd: number, place: number): void {
    this.#roots.recordDirectory(place, -1); // before the number is used again, for another file
    if (fd >= 0) native.close(fd);
    this.#places.push(place);
  }
}

const isGoodFor = (
  { generation, arrival, openedAtMs }: SharedDirectory,
  root: Root,
  wanted: number,
  nowMs: number,
): boolean => generation === root.generation && arrival >= wanted && nowMs - openedAtMs < SHARED_MS;
