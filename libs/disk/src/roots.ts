/** The directories that jobs may name, as one thread has them open: checked again with each write, closed when idle. */
import { constants } from 'node:os';
import { performance } from 'node:perf_hooks';
import { IoError, type MatrixShape, RequestError } from '@penstock/contract';
import { native } from '@penstock/native';
import { Identity, lookAt, lookAtFd, lookedAtMount } from './root-identity.ts';
import { ANY_MOUNT, NO_MOUNT, RootWords } from './root-words.ts';

const { ESTALE } = constants.errno;

/** A directory that jobs may name. */
export interface RootConfig {
  name: string;
  /** Absolute path of the directory. */
  path: string;
  /** False for a root that jobs may only read from. */
  writable: boolean;
  /** The matrix of writes whose request names none; absent: the default one. */
  matrix?: MatrixShape;
  /** 'off': its files are written and read through the page cache, and nothing else is tried. Absent: 'auto'. */
  direct?: 'auto' | 'off';
}

/** A root as a thread has it open. */
export interface Root extends RootConfig {
  /** Good until the thread's event loop turns: an idle root is closed. */
  fd: number;
  /** How often it was opened as another directory than before. */
  opening: number;
}

/** For so long what was found at a root's path is believed. What is published is looked for once more. */
const BELIEVED_MS = 50;
/** A root that nobody asked for this long is closed, so that its file system can be unmounted. */
const IDLE_MS = 2000;

class ThreadRoot implements Root {
  readonly name: string;
  readonly path: string;
  readonly writable: boolean;
  readonly matrix?: MatrixShape;
  readonly direct?: 'auto' | 'off';
  readonly index: number;
  fd = -1;
  opening = 0;
  readonly identity: Identity = new Identity();
  /** In time of performance.now(). */
  seenAtMs: number = Number.NEGATIVE_INFINITY;
  usedAtMs = 0;

  constructor({ name, path, writable, matrix, direct }: RootConfig, index: number) {
    this.name = name;
    // Paths are shown as the root's, a slash and their own: of the whole file system that would be two slashes.
    this.path = path === '/' ? '' : path;
    this.writable = writable;
    if (matrix !== undefined) this.matrix = matrix;
    if (direct !== undefined) this.direct = direct;
    this.index = index;
  }
}

/**
 * The roots that a thread's jobs may name. Each is opened when it is asked for, looked at again while it is open, and
 * opened anew where another directory stands at its path: a disk was mounted there, or the directory was moved.
 */
export class Roots {
  readonly #roots: ReadonlyMap<string, ThreadRoot>;
  readonly #words: RootWords;
  readonly #thread: number;
  #closing: NodeJS.Timeout | undefined;

  /**
   * @param words shared with the main thread, which says what mounts the roots are on; absent: any is right
   * @param thread the block of `words` for this thread's descriptors
   */
  constructor(configs: readonly RootConfig[], words?: RootWords, thread: number = 0) {
    this.#roots = new Map(configs.map((config, index) => [config.name, new ThreadRoot(config, index)]));
    this.#words = words ?? new RootWords(1, configs.length);
    this.#thread = thread;
  }

  get count(): number {
    return this.#roots.size;
  }

  /** The root of that name, open; undefined where there is none, or it cannot be opened now. */
  find(name: string): Root | undefined {
    const root = this.#roots.get(name);
    return root === undefined || this.#ensure(root) !== null ? undefined : root;
  }

  /** Its place among the roots of the host; -1 where there is none of that name. */
  indexOf(name: string): number {
    return this.#roots.get(name)?.index ?? -1;
  }

  /**
   * The root named `name`, open; `field` is where the request names it.
   * @throws RequestError for a root this host does not have, or one that may not be written
   * @throws IoError where it cannot be opened; ESTALE where it is not on the mount that it is to be on
   */
  get(name: string, field: string, forWriting: boolean): Root {
    const root = this.#roots.get(name);
    if (root !== undefined && (root.writable || !forWriting)) {
      const fault = this.#ensure(root);
      if (fault !== null) throw fault;
      return root;
    }
    const names = [...this.#roots.values()].filter((other) => other.writable || !forWriting).map((other) => other.name);
    const which = root === undefined ? 'root of this host' : 'root that may be written';
    throw new RequestError({ field, value: name, accepted: `a ${which}: ${names.join(', ') || 'none is configured'}` });
  }

  /**
   * To be called before a file is published that was opened at `opening` of `root`: readers who come by the root's path
   * would not find it in another directory than stands there now.
   * @throws IoError ESTALE
   */
  assertStands(name: string, opening: number): void {
    const root = this.#roots.get(name)!;
    if (root.path === '') return;
    const fault = this.#look(root);
    if (fault === null && root.opening === opening && root.identity.isSeen) return;
    root.seenAtMs = Number.NEGATIVE_INFINITY; // what was believed is wrong
    throw fault ?? staleRoot(root.path, ELSEWHERE);
  }

  /** Closes what is open. The next write opens it again. */
  close(): void {
    clearTimeout(this.#closing);
    this.#closing = undefined;
    for (const root of this.#roots.values()) this.#close(root);
  }

  /** Has `root` open as what stands at its path; why that cannot be, or null. */
  #ensure(root: ThreadRoot): IoError | null {
    const now = performance.now();
    root.usedAtMs = now;
    if (root.fd >= 0 && (root.path === '' || now - root.seenAtMs < BELIEVED_MS)) return null;
    const fault = this.#look(root);
    if (fault !== null) {
      this.#close(root);
      return fault;
    }
    root.seenAtMs = now;
    if (root.fd >= 0 && root.identity.isSeen) return null;
    return this.#open(root);
  }

  /** Looks at what stands at the root's path: why it is not to be opened, or null. */
  #look(root: ThreadRoot): IoError | null {
    const path = root.path || '/';
    const expected = this.#words.mount(root.index);
    if (expected === NO_MOUNT) return staleRoot(path, UNMOUNTED);
    const result = lookAt(path);
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
    // What was opened counts, not what stood there a moment before.
    const result = lookAtFd(fd);
    if (result < 0 || !isExpected(this.#words.mount(root.index))) {
      this.#close(root);
      return result < 0 ? new IoError({ syscall: 'statx', errno: result, path }) : staleRoot(path, ELSEWHERE);
    }
    if (!root.identity.isSeen) {
      root.identity.take();
      root.opening += 1;
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
    this.#words.record(this.#thread, root.index, -1); // before it may be another file's
    native.close(root.fd);
    root.fd = -1;
  }
}

const UNMOUNTED = 'What was mounted there is gone: mount it again, or start the host anew to use the bare directory.';
const ELSEWHERE = 'Another directory stands there than the write was begun in: it is to be begun anew.';

const staleRoot = (path: string, hint: string): IoError =>
  new IoError({ syscall: 'statx', errno: -ESTALE, path, hint });

/** Whether what was looked at last lies on the mount that is expected; a kernel that names no mounts is believed. */
function isExpected(mount: number): boolean {
  const seen = lookedAtMount();
  return mount === ANY_MOUNT || seen === 0 || seen === mount;
}
