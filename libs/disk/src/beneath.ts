/**
 * Paths of jobs, opened so that they cannot leave their root: the kernel resolves each relative to the root's descriptor
 * with RESOLVE_BENEATH (openat2(2)), so that neither `..` nor a symbolic link swapped in at the last moment leads out.
 *
 * The decision: libs/README.md#beneath-the-root.
 */
import { constants } from 'node:os';
import { IoError } from '@penstock/contract';
import { native } from '@penstock/native';
import { flushDirectory } from './flush-directory.ts';
import type { Root } from './roots.ts';

const { EEXIST, ELOOP, ENOENT, ENOSYS, EPERM } = constants.errno;

/**
 * Opens `path` below `rootFd`; no component of it, the last one included, can lead out. Returns a descriptor or -errno:
 * -EXDEV if a symbolic link or `..` would have left the root, -ELOOP if there is a link and links are refused.
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

/** Opens `path` one component at a time, for kernels without openat2: every symbolic link is refused, wherever it leads. */
function walkBeneath(rootFd: number, path: string, flags: number): number {
  const components = path.split('/');
  let dirFd = rootFd;
  for (const [index, component] of components.entries()) {
    const last = index === components.length - 1;
    const step = last ? flags : native.O_PATH | native.O_DIRECTORY;
    const fd = component === '..' ? -ELOOP : native.openat(dirFd, component, step | native.O_NOFOLLOW, 0);
    if (dirFd !== rootFd) native.close(dirFd);
    // O_DIRECTORY | O_NOFOLLOW answers ENOTDIR for a symbolic link.
    if (fd < 0) return fd;
    dirFd = fd;
  }
  return dirFd;
}

/**
 * Opens the directory `path` ('' is the root itself) below `root`, and makes the directories that are missing: each is
 * durable before anything is put into it. Returns its descriptor.
 * @throws IoError naming the call that failed
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
    // At once, and blocking: directories are seldom made, and any write that finds this one relies on it.
    const synced = flushDirectory(parentFd);
    if (synced < 0) throw new IoError({ syscall: 'fsync', errno: synced, path: shown });
  } finally {
    native.close(parentFd);
  }
}
