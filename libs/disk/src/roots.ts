/** The directories that jobs may name, as one thread has them open: checked again with each write, closed when idle. */
import { constants } from 'node:os';
import { performance } from 'node:perf_hooks';
import { IoError, type MatrixShape, RequestError } from '@penstock/contract';
import { native } from '@penstock/native';
import { DirectoryIdentity, lastMountId, readIdentity, readIdentityOf } from './root-identity.ts';
import { ANY_MOUNT, NO_MOUNT, RootWords } from './root-words.ts';

const { ESTALE } = constants.errno;

/** A directory that jobs may name. */
export interface RootConfig {
  name: string;
  /** Absolute path of the directory. */
  path: string;
  /** False for a root that jobs may only read from. */
  writable: boolean;
  /** The matrix of writes whose request names none; if absent, the default one. */
  matrix?: MatrixShape;
  /** 'off': its files are written and read through the page cache, and direct I/O is not tried. If absent, 'auto'. */
  direct?: 'auto' | 'off';
}

/** A root as one thread has it open. */
export interface Root extends RootConfig {
  /** Valid until the thread's event loop turns: a root that is idle then is closed. */
  fd: number;
  /** How often it has been opened as another directory than before. */
  generation: number;
}

/** A root is checked again if it was checked longer ago than this; before a file is published, always. */
const CHECK_VALID_MS = 50;
/** A root that no write has used for so long is closed, so that its file system can be unmounted. */
const IDLE_MS = 2000;

class ThreadRoot implements Root {
  readonly name: string;
  readonly path: string;
  readonly writable: boolean;
  readonly matrix?: MatrixShape;
  readonly direct?: 'auto' | 'off';
  readonly index: number;
  fd = -1;
  generation = 0;
  readonly identity: DirectoryIdentity = new DirectoryIdentity();
  /** By performance.now(), as all times here. */
  checkedAtMs: number = Number.NEGATIVE_INFINITY;
  usedAtMs = 0;

  constructor({ name, path, writable, matrix, direct }: RootConfig, index: number) {
    this.name = name;
    // Messages join it to a file's path with a slash: for `/` that would be two.
    this.path = path === '/' ? '' : path;
    this.writable = writable;
    if (matrix !== undefined) this.matrix = matrix;
    if (direct !== undefined) this.direct = direct;
    this.index = index;
  }
}

/**
 * The roots that a thread's jobs may name. Each is opened when it is first used, checked while it is open, and opened anew
 * if another directory stands at its path: a disk was mounted there, or the directory was moved.
 */
export class Roots {
  readonly #roots: ReadonlyMap<string, ThreadRoot>;
  readonly #words: RootWords;
  readonly #thread: number;
  #closing: NodeJS.Timeout | undefined;

  /**
   * @param words shared with the main thread, which decides on which mount each root is; if absent, any mount is right
   * @param thread which block of `words` is for this thread's descriptors
   */
  constructor(configs: readonly RootConfig[], words?: RootWords, thread: number = 0) {
    this.#roots = new Map(configs.map((config, index) => [config.name, new ThreadRoot(config, index)]));
    this.#words = words ?? new RootWords(1, configs.length);
    this.#thread = thread;
  }

  get count(): number {
    return this.#roots.size;
  }

  /** The root of that name, open; undefined if there is none, or if it cannot be opened now. */
  find(name: string): Root | undefined {
    const root = this.#roots.get(name);
    return root === undefined || this.#ensureOpen(root) !== null ? undefined : root;
  }

  /** Its index among the roots of the host; -1 if there is none of that name. */
  indexOf(name: string): number {
    return this.#roots.get(name)?.index ?? -1;
  }

  /**
   * The root named `name`, open; `field` is the field of the request that names it.
   * @throws RequestError if this host has no such root, or it may not be written and `forWriting` is true
   * @throws IoError if it cannot be opened; ESTALE if it is not on the mount where the main thread expects it
   */
  get(name: string, field: string, forWriting: boolean): Root {
    const root = this.#roots.get(name);
    if (root !== undefined && (root.writable || !forWriting)) {
      const fault = this.#ensureOpen(root);
      if (fault !== null) throw fault;
      return root;
    }
    const names = [...this.#roots.values()].filter((other) => other.writable || !forWriting).map((other) => other.name);
    const which = root === undefined ? 'root of this host' : 'root that may be written';
    throw new RequestError({ field, value: name, accepted: `a ${which}: ${names.join(', ') || 'none is configured'}` });
  }

  /**
   * To be called before a file is published that was opened in the directory that was `generation` of the root: if another
   * directory stands at the root's path by now, readers who come by that path would not find the file.
   * @throws IoError ESTALE if so
   */
  assertUnmoved(name: string, generation: number): void {
    const root = this.#roots.get(name)!;
    if (root.path === '') return;
    const fault = this.#check(root);
    if (fault === null && root.generation === generation && root.identity.isLast) return;
    root.checkedAtMs = Number.NEGATIVE_INFINITY; // the last check is outdated
    throw fault ?? staleRoot(root.path, ELSEWHERE);
  }

  /**
   * A directory below a root that several writes of this thread use is open as `fd`; -1: it will be closed next. If the thread
   * dies, the main thread closes what is recorded.
   * @param place below DIRECTORIES_MAX
   */
  recordDirectory(place: number, fd: number): void {
    this.#words.recordDirectory(this.#thread, place, fd);
  }

  /** Closes all roots. The next write opens its root again. */
  close(): void {
    clearTimeout(this.#closing);
    this.#closing = undefined;
    for (const root of this.#roots.values()) this.#close(root);
  }

  /** Opens `root`, or checks that it is still open as what stands at its path; null, or the error if that fails. */
  #ensureOpen(root: ThreadRoot): IoError | null {
    const now = performance.now();
    root.usedAtMs = now;
    if (root.fd >= 0 && (root.path === '' || now - root.checkedAtMs < CHECK_VALID_MS)) return null;
    const fault = this.#check(root);
    if (fault !== null) {
      this.#close(root);
      return fault;
    }
    root.checkedAtMs = now;
    if (root.fd >= 0 && root.identity.isLast) return null;
    return this.#open(root);
  }

  /** Reads what stands at the root's path, and compares its mount; null, or the error if it is not to be opened. */
  #check(root: ThreadRoot): IoError | null {
    const path = root.path || '/';
    const expected = this.#words.mount(root.index);
    if (expected === NO_MOUNT) return staleRoot(path, UNMOUNTED);
    const result = readIdentity(path);
    if (result < 0) return new IoError({ syscall: 'statx', errno: result, path });
    return isExpected(expected) ? null : staleRoot(path, ELSEWHERE);
  }

  #open(root: ThreadRoot): IoError | null {
    this.#close(root);
    const path = root.path || '/';
    const fd = native.openat(native.AT_FDCWD, path, native.O_PATH | native.O_DIRECTORY, 0);
    if (fd < 0) return new IoError({ syscall: 'openat', errno: fd, path });
    root.fd = fd;
    this.#words.record(this.#thread, root.index, fd);
    // Compared once more: what was opened may not be what stood there a moment before.
    const result = readIdentityOf(fd);
    if (result < 0 || !isExpected(this.#words.mount(root.index))) {
      this.#close(root);
      return result < 0 ? new IoError({ syscall: 'statx', errno: result, path }) : staleRoot(path, ELSEWHERE);
    }
    if (!root.identity.isLast) {
      root.identity.takeLast();
      root.generation += 1;
    }
    this.#closing ??= setTimeout(() => this.#closeIdle(), IDLE_MS).unref();
    return null;
  }

  #closeIdle(): void {
    this.#closing = undefined;
    const idleSinceMs = performance.now() - IDLE_MS;
    let open = false;
    for (const root of this.#roots.values()) {
      if (root.usedAtMs <= idleSinceMs) this.#close(root);
      open ||= root.fd >= 0;
    }
    if (open) this.#closing = setTimeout(() => this.#closeIdle(), IDLE_MS).unref();
  }

  #close(root: ThreadRoot): void {
    if (root.fd < 0) return;
    this.#words.record(this.#thread, root.index, -1); // before the number is used again, for another file
    native.close(root.fd);
    root.fd = -1;
  }
}

const UNMOUNTED = 'What was mounted there is gone: mount it again, or start the host anew to use the bare directory.';
const ELSEWHERE = 'Another directory stands there than the write was begun in: it is to be begun anew.';

const staleRoot = (path: string, hint: string): IoError =>
  new IoError({ syscall: 'statx', errno: -ESTALE, path, hint });

/** True if the last reading lies on the mount that is expected; true too if the kernel reports no mounts. */
function isExpected(mount: number): boolean {
  const found = lastMountId();
  return mount === ANY_MOUNT || found === 0 || found === mount;
}
