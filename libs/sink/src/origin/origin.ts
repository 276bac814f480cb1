/** The source of a copy: a file, opened with O_DIRECT if possible, or a segment; checked for changes while it is read. */
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
  /** The offset of the first byte to copy. */
  start: number;
  /**
   * Where it is mapped, if rows are written from there. Only the kernel may touch the mapping: a load or store of this
   * process beyond the end of a file that was cut would be a SIGBUS.
   */
  mapping: Mapping | null;
  /** True while it is open for direct I/O. */
  direct: boolean;
  /** Its device; null if its file system reports the alignment of direct I/O, and so is known to have it. */
  device: Device | null;
  sizeBytes: number;
  /** What it takes up on its disk. */
  allocatedBytes: number;
  alignment: Alignment;
  permissions: number;
  modified: FileStat['modified'];
  /** Device and inode. */
  identity: string;
  /** Changes whenever the file does (versionOf). */
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
 * A text that changes whenever the content, the size or the identity of the file does. It contains the time of the last
 * change (ctime), since programs that rewrite a file can set its modification time back (rsync, tar and cp do); so it also
 * changes with the file's attributes and names.
 */
export function versionOf(stat: FileStat): string {
  return `${contentOf(stat)}${timeKey(stat.changed)}`;
}

const contentOf = ({ identity, sizeBytes, modified }: FileStat): string =>
  `${identity}:${sizeBytes}:${timeKey(modified)}:`;

/**
 * To be called when all is read. A source that has lost its last name, because it was removed or replaced by another file,
 * counts as unchanged.
 * @throws IoError ESTALE if the source was changed, cut or extended since it was opened: the copy would be half of each
 * version
 */
export function assertUnchanged(origin: Origin): void {
  const stat = statFd(origin.fd, origin.path);
  if (versionOf(stat) === origin.version) return;
  if (stat.linkCount === 0 && origin.version.startsWith(contentOf(stat))) return;
  throw changed(origin);
}

/**
 * To be called after a short read that ended at `offset`, which the kernel may return inside a file too.
 * @throws IoError ESTALE if the source ends there by now
 */
export function assertReaches(origin: Origin, offset: number): void {
  if (statFd(origin.fd, origin.path).sizeBytes <= offset) throw changed(origin, offset);
}

/** The error of a source that ended before its size, or changed while it was read. */
export function changed(origin: Origin, offset?: number): IoError {
  return new IoError({
    syscall: 'pread',
    errno: -ESTALE,
    path: origin.path,
    ...(offset === undefined ? {} : { offset }),
    hint: 'The source, or its names or attributes, changed while it was copied: try when nothing writes to it.',
  });
}

/** Reads on through the page cache, for rows that do not begin at a block of the source. @throws IoError */
export function readBuffered(origin: Origin): void {
  if (origin.direct) reopenBuffered(origin.fd, origin.path);
  origin.direct = false;
  origin.alignment = { memory: 1, offset: 1 };
}

/** The file system has refused direct reads of it: from the next read on it is read through the page cache. @throws IoError */
export function readRefused(origin: Origin, refusing: RefusingDevices): void {
  if (!origin.direct) return; // another read was refused too, and submitted before the first refusal came
  reopenBuffered(origin.fd, origin.path);
  origin.direct = false;
  if (origin.device !== null) refusing.note(origin.device);
}

/** Unmaps and closes the source. No iocb in flight may read from it. */
export function closeOrigin(origin: Origin): void {
  if (origin.mapping !== null) native.munmap(origin.mapping.address, origin.mapping.lengthBytes);
  native.close(origin.fd);
}
