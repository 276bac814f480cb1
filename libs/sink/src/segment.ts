/**
 * A segment of shared memory that another process on this host has filled: a file below the shared-memory root, mapped
 * where its rows can be written to the disk from where they stand.
 *
 * Its owner may cut it at any moment, and a load of ours from beyond the new end would be a SIGBUS, the end of the
 * process. So nothing here ever reads the mapping: the kernel does, and says EFAULT; rows that need a copy are read
 * from the descriptor.
 */
import { constants } from 'node:os';
import { IoError, RequestError, type ShmSource } from '@penstock/contract';
import { native } from '@penstock/aio';
import type { Mapping } from '@penstock/matrix';
import { type Origin, versionOf } from './origin.ts';
import { openBeneath } from './roots.ts';
import { type Alignment, statFd } from './stat.ts';

const { EINVAL, EISDIR, ENOENT, ENOTDIR } = constants.errno;

/**
 * Opens the segment that `source` names below `directory`.
 * @throws RequestError where this host has no shared-memory root, or the segment ends before the offset
 * @throws IoError naming the call that failed
 */
export function openSegment(directory: string | undefined, { name, offset }: ShmSource): Origin {
  const rootFd = openDirectory(directory, name);
  const shown = `${directory}/${name}`;
  const fd = openBeneath(rootFd, name, native.O_RDONLY | native.O_NONBLOCK); // a FIFO must not hang the thread
  native.close(rootFd);
  if (fd < 0) throw new IoError({ syscall: 'openat2', errno: fd, path: shown });
  try {
    const stat = statFd(fd, shown);
    if (stat.isDirectory) throw new IoError({ syscall: 'openat2', errno: -EISDIR, path: shown });
    if (!stat.isFile) {
      throw new IoError({
        syscall: 'openat2',
        errno: -EINVAL,
        path: shown,
        hint: 'The segment is not a regular file.',
      });
    }
    const { sizeBytes, allocatedBytes, permissions, modified, identity } = stat;
    if (offset > sizeBytes) {
      const accepted = `at most the ${sizeBytes} bytes of the segment '${shown}'`;
      throw new RequestError({ field: 'source.offset', value: offset, accepted });
    }
    const alignment = { memory: 1, offset: 1 }; // memory: read through no block device
    const version = versionOf(stat);
    const found = { sizeBytes, allocatedBytes, alignment, permissions, modified, identity, version };
    return { fd, path: shown, start: offset, mapping: null, ...found };
  } catch (error) {
    native.close(fd);
    throw error;
  }
}

/** With each job anew: whoever fills segments may make the directory after this host was started. */
function openDirectory(directory: string | undefined, name: string): number {
  const refuse = (accepted: string): never => {
    throw new RequestError({ field: 'source.name', value: name, accepted });
  };
  if (directory === undefined) return refuse('another kind of source: this writer looks for segments nowhere');
  const fd = native.openat(native.AT_FDCWD, directory, native.O_PATH | native.O_DIRECTORY, 0);
  if (fd === -ENOENT || fd === -ENOTDIR) {
    return refuse(
      `a segment below the host's shared-memory root: it is looked for in ${directory}, which is no directory`,
    );
  }
  if (fd < 0) throw new IoError({ syscall: 'openat', errno: fd, path: directory });
  return fd;
}

/** True if rows of `segment` can go to a file of this `alignment` from where they stand: a mapping begins at a page. */
export function rowsStandAligned(segment: Origin, alignment: Alignment): boolean {
  return segment.start % alignment.memory === 0;
}

/** Maps the first `lengthBytes` (1 or more) of an open segment for the kernel to read. @throws IoError */
export function mapSegment(segment: Origin, lengthBytes: number): Mapping {
  const address = native.mmap(lengthBytes, native.PROT_READ, native.MAP_SHARED, segment.fd);
  if (address < 0) throw new IoError({ syscall: 'mmap', errno: address, path: segment.path, length: lengthBytes });
  segment.mapping = { address, lengthBytes };
  return segment.mapping;
}
