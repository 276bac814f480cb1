/** What is copied from: a file opened with O_DIRECT where it can be, or a segment; watched for changes while it is read. */
import { constants } from 'node:os';
import { IoError } from '@penstock/contract';
import { native } from '@penstock/native';
import type { Mapping } from '@penstock/matrix';
import { type RefusingDevices, reopenBuffered } from '../device/direct-refused.ts';
import {
  type Root,
  openBeneath,
  type Alignment,
  type Device,
  type FileStat,
  guessAlignment,
  statFd,
  timeKey,
} from '@penstock/disk';

const { EINVAL, EISDIR, ESTALE } = constants.errno;

/** An open source file. */
export interface Origin {
  fd: number;
  /** Its absolute path, for messages. */
  path: string;
  /** Where in it the first byte of the copy stands. */
  start: number;
  /** Where it is mapped, if rows are written from there. Only the kernel may touch it: a store or a load of ours past
   * the end of what has been cut would be a SIGBUS. */
  mapping: Mapping | null;
  /** True while it is open for direct I/O. */
  direct: boolean;
  /** Its device, unless its file system says what direct I/O must keep to, and so has it. */
  device: Device | null;
  sizeBytes: number;
  /** What it takes up on its disk. */
  allocatedBytes: number;
  alignment: Alignment;
  permissions: number;
  modified: FileStat['modified'];
  /** Device and inode. */
  identity: string;
  version: string;
}

/** Opens `path` below `root` for reading. @throws IoError naming the call that failed */
export function openOrigin(root: Root, path: string, refusing: RefusingDevices): Origin {
  const shown = `${root.path}/${path}`;
  const flags = native.O_RDONLY | native.O_NONBLOCK; // a FIFO must not hang the thread
  let fd = root.direct === 'off' ? -EINVAL : openBeneath(root.fd, path, flags | native.O_DIRECT);
  let direct = fd !== -EINVAL;
  if (!direct) fd = openBeneath(root.fd, path, flags);
  if (fd < 0) throw new IoError({ syscall: 'openat2', errno: fd, path: shown });
  try {
    const stat = statFd(fd, shown);
    if (stat.isDirectory) throw new IoError({ syscall: 'openat2', errno: -EISDIR, path: shown });
    if (!stat.isFile) {
      throw new IoError({ syscall: 'openat2', errno: -EINVAL, path: shown, hint: 'The source is not a regular file.' });
    }
    if (direct && (stat.directAlignment?.offset === 0 || refusing.has(stat.device))) {
      reopenBuffered(fd, shown);
      direct = false;
    }
    const alignment = direct ? (stat.directAlignment ?? guessAlignment(stat.device)) : { memory: 1, offset: 1 };
    const device = stat.directAlignment === null ? stat.device : null;
    const { sizeBytes, allocatedBytes, identity, permissions, modified } = stat;
    const [version, mapping] = [versionOf(stat), null];
    const found = { sizeBytes, allocatedBytes, alignment, permissions, modified, identity, version };
    return { fd, path: shown, start: 0, mapping, direct, device, ...found };
  } catch (error) {
    native.close(fd);
    throw error;
  }
}

/**
 * Changes whenever the content, the size or the identity of the file does. The time of its last change (ctime) is in it,
 * for the time of modification can be set back by whoever rewrites the file (rsync, tar and cp do); so it also changes
 * with the file's attributes and names.
 */
export function versionOf(stat: FileStat): string {
  return `${contentOf(stat)}${timeKey(stat.changed)}`;
}

const contentOf = ({ identity, sizeBytes, modified }: FileStat): string =>
  `${identity}:${sizeBytes}:${timeKey(modified)}:`;

/**
 * Fails if the source was changed, cut or grown since it was opened: half of each version is neither. One that lost its
 * last name meanwhile, for it was removed or replaced by another file, is as whole as before. @throws IoError
 */
export function assertUnchanged(origin: Origin): void {
  const stat = statFd(origin.fd, origin.path);
  if (versionOf(stat) === origin.version) return;
  if (stat.linkCount === 0 && origin.version.startsWith(contentOf(stat))) return;
  throw changed(origin);
}

/** After a short read that ended at `offset`: that is the end of the file, or the kernel's whim, and only the file knows. @throws IoError */
export function assertReaches(origin: Origin, offset: number): void {
  if (statFd(origin.fd, origin.path).sizeBytes <= offset) throw changed(origin, offset);
}

/** The source ended before its size, or changed while it was read. */
export function changed(origin: Origin, offset?: number): IoError {
  return new IoError({
    syscall: 'pread',
    errno: -ESTALE,
    path: origin.path,
    ...(offset === undefined ? {} : { offset }),
    hint: 'The source, or its names or attributes, changed while it was copied: try when nothing writes to it.',
  });
}

/** Goes on through the page cache: rows that begin at no block of the source cannot be read past it. @throws IoError */
export function readBuffered(origin: Origin): void {
  if (origin.direct) reopenBuffered(origin.fd, origin.path);
  origin.direct = false;
  origin.alignment = { memory: 1, offset: 1 };
}

/** The file system has refused to read it by direct I/O: from the next read on it goes through the page cache. @throws IoError */
export function readRefused(origin: Origin, refusing: RefusingDevices): void {
  if (!origin.direct) return; // refused, as another of its reads, while that was still so
  reopenBuffered(origin.fd, origin.path);
  origin.direct = false;
  if (origin.device !== null) refusing.note(origin.device);
}

/** Nothing in flight may read from it any more. */
export function closeOrigin(origin: Origin): void {
  if (origin.mapping !== null) native.munmap(origin.mapping.address, origin.mapping.lengthBytes);
  native.close(origin.fd);
}
