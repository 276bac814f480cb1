/**
 * Roots, and paths that cannot leave them: every path of a job is opened by the kernel relative to its root's
 * descriptor with RESOLVE_BENEATH (openat2(2)), so neither dots nor a symbolic link swapped in at the last moment
 * can lead out.
 */
import { constants } from 'node:os';
import { IoError, type MatrixShape, RequestError } from '@penstock/contract';
import { native } from '@penstock/aio';
import { flushDirectory } from './flush-directory.ts';

const { EEXIST, ELOOP, ENOENT, ENOSYS, EPERM } = constants.errno;

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

/** An open root. */
export interface Root extends RootConfig {
  fd: number;
}

/**
 * Opens `configs`. The descriptors serve every thread of the process; whoever opened them closes them.
 * @throws IoError naming the directory that cannot be opened
 */
export function openRoots(configs: readonly RootConfig[]): Root[] {
  const roots: Root[] = [];
  for (const config of configs) {
    const fd = native.openat(native.AT_FDCWD, config.path, native.O_PATH | native.O_DIRECTORY, 0);
    if (fd < 0) {
      closeRoots(roots);
      throw new IoError({ syscall: 'openat', errno: fd, path: config.path });
    }
    // Paths are shown as the root's, a slash and their own: of the whole file system that would be two slashes.
    roots.push({ ...config, path: config.path === '/' ? '' : config.path, fd });
  }
  return roots;
}

export function closeRoots(roots: readonly Root[]): void {
  for (const root of roots) native.close(root.fd);
}

/** The roots that a thread's jobs may name. */
export class Roots {
  readonly #roots: ReadonlyMap<string, Root>;

  constructor(roots: readonly Root[]) {
    this.#roots = new Map(roots.map((root) => [root.name, root]));
  }

  get count(): number {
    return this.#roots.size;
  }

  find(name: string): Root | undefined {
    return this.#roots.get(name);
  }

  /** Its place among the roots of the host; -1 where there is none of that name. */
  indexOf(name: string): number {
    return [...this.#roots.keys()].indexOf(name);
  }

  /**
   * The root named `name`; `field` is where the request names it.
   * @throws RequestError for a root this host does not have, or one that may not be written
   */
  get(name: string, field: string, forWriting: boolean): Root {
    const root = this.find(name);
    if (root !== undefined && (root.writable || !forWriting)) return root;
    const names = [...this.#roots.values()].filter((other) => other.writable || !forWriting).map((other) => other.name);
    const which = root === undefined ? 'root of this host' : 'root that may be written';
    throw new RequestError({ field, value: name, accepted: `a ${which}: ${names.join(', ') || 'none is configured'}` });
  }
}

/**
 * Opens `path` below `rootFd`; nothing on the way, the last component included, can lead out. A descriptor or
 * -errno: -EXDEV where a symbolic link or `..` would have left the root, -ELOOP where there is a link and none is followed.
 */
export function openBeneath(
  rootFd: number,
  path: string,
  flags: number,
  links: 'followed' | 'refused' = 'followed',
): number {
  const resolve = native.RESOLVE_BENEATH | native.RESOLVE_NO_MAGICLINKS;
  const fd = native.openat2(
    rootFd,
    path,
    flags,
    0,
    links === 'refused' ? resolve | native.RESOLVE_NO_SYMLINKS : resolve,
  );
  // Before Linux 5.6 it is missing, and some containers' seccomp filters answer EPERM for calls they do not know.
  return fd === -ENOSYS || fd === -EPERM ? walkBeneath(rootFd, path, flags) : fd;
}

/** The same a component at a time, for kernels without openat2: every symbolic link is refused, wherever it leads. */
export function walkBeneath(rootFd: number, path: string, flags: number): number {
  const components = path.split('/');
  let dirFd = rootFd;
  for (const [index, component] of components.entries()) {
    const last = index === components.length - 1;
    const step = last ? flags : native.O_PATH | native.O_DIRECTORY;
    const fd = component === '..' ? -ELOOP : native.openat(dirFd, component, step | native.O_NOFOLLOW, 0);
    if (dirFd !== rootFd) native.close(dirFd);
    // O_DIRECTORY | O_NOFOLLOW on a symbolic link says ENOTDIR.
    if (fd < 0) return fd;
    dirFd = fd;
  }
  return dirFd;
}

/**
 * Opens the directory `path` ('' is the root itself) below `root`, making what is missing. A directory that is made is
 * durable before anything is put into it. Returns its descriptor.
 * @throws IoError
 */
export function openParent(root: Root, path: string): number {
  let fd = openDirectory(root, path);
  if (fd === -ENOENT && path !== '') {
    makeMissing(root, path);
    fd = openDirectory(root, path);
  }
  if (fd < 0)
    throw new IoError({ syscall: 'openat2', errno: fd, path: path === '' ? root.path || '/' : `${root.path}/${path}` });
  return fd;
}

/** Opens an existing directory below `root`: a descriptor or -errno. */
export function openDirectory(root: Root, path: string): number {
  return openBeneath(root.fd, path === '' ? '.' : path, native.O_RDONLY | native.O_DIRECTORY);
}

function makeMissing(root: Root, path: string): void {
  const components = path.split('/');
  for (let depth = 1; depth <= components.length; depth += 1) {
    const directory = components.slice(0, depth).join('/');
    const existing = openDirectory(root, directory);
    if (existing >= 0) {
      native.close(existing);
    } else {
      const shown = `${root.path}/${directory}`;
      if (existing !== -ENOENT) throw new IoError({ syscall: 'openat2', errno: existing, path: shown });
      makeOne(root, components.slice(0, depth - 1).join('/'), components[depth - 1]!, shown);
    }
  }
}

function makeOne(root: Root, parent: string, name: string, shown: string): void {
  const parentFd = openDirectory(root, parent);
  if (parentFd < 0) throw new IoError({ syscall: 'openat2', errno: parentFd, path: shown });
  try {
    const made = native.mkdirat(parentFd, name, 0o777);
    // Another job may have made it meanwhile.
    if (made < 0 && made !== -EEXIST) throw new IoError({ syscall: 'mkdirat', errno: made, path: shown });
    // At once, and blocking: making directories is rare, and whoever finds this one may rely on it.
    const synced = flushDirectory(parentFd);
    if (synced < 0) throw new IoError({ syscall: 'fsync', errno: synced, path: shown });
  } finally {
    native.close(parentFd);
  }
}
