/**
 * A segment of shared memory that another process on this machine has filled: a file in the segment directory, which is
 * mapped if its rows can be written to the disk straight from it.
 *
 * Its owner may cut it at any moment, and a load of this process from beyond the new end would be a SIGBUS, which ends the
 * process. So nothing here reads the mapping; the kernel does, and answers EFAULT. Rows that need a copy are read from the
 * descriptor.
 *
 * The decision: libs/README.md#segments-read-by-the-kernel.
 */
import { constants } from 'node:os';
import { IoError, RequestError, type ShmSource } from '@penstock/contract';
import { native } from '@penstock/native';
import type { Mapping } from '@penstock/matrix';
import { type Origin, versionOf } from './origin.ts';
import { openBeneath, type Alignment, statFd } from '@penstock/disk';
import { type SegmentDirectory, assertOwnSegment, openSegmentDirectory } from './segment-directory.ts';

const { EISDIR, ELOOP, ENOENT, ENOTDIR } = constants.errno;

/**
 * Opens the segment that `source` names in `segments`.
 * @throws RequestError if this host has no directory of segments, or the segment ends before the offset
 * @throws IoError naming the call that failed; EPERM if another user may have put it there
 */
export function openSegment(segments: SegmentDirectory | undefined, { name, offset }: ShmSource): Origin {
  if (segments === undefined) throw noSuch(name, 'another kind of source: this writer looks for segments nowhere');
  const directoryFd = openDirectory(segments, name);
  const shown = `${segments.directory}/${name}`;
  const fd = openBeneath(directoryFd, name, native.O_RDONLY | native.O_NONBLOCK, 'refused'); // a FIFO must not hang the thread
  native.close(directoryFd);
  if (fd < 0) throw openFailure(fd, shown);
  try {
    const stat = statFd(fd, shown);
    if (stat.isDirectory) throw new IoError({ syscall: 'openat2', errno: -EISDIR, path: shown });
    assertOwnSegment(stat, shown, segments);
    const { sizeBytes, allocatedBytes, permissions, modified, identity } = stat;
    if (offset > sizeBytes) {
      const accepted = `at most the ${sizeBytes} bytes of the segment '${shown}'`;
      throw new RequestError({ field: 'source.offset', value: offset, accepted });
    }
    const alignment = { memory: 1, offset: 1 }; // memory: read through no block device
    const version = versionOf(stat);
    const found = { sizeBytes, allocatedBytes, alignment, permissions, modified, identity, version };
    return { fd, path: shown, start: offset, mapping: null, direct: false, device: null, ...found };
  } catch (error) {
    native.close(fd);
    throw error;
  }
}

function openFailure(errno: number, path: string): IoError {
  if (errno === -ELOOP) {
    const hint = 'It is a symbolic link, or is reached by one: segments are files where they stand.';
    return new IoError({ syscall: 'openat2', errno, path, hint });
  }
  return new IoError({ syscall: 'openat2', errno, path });
}

/** Opened anew for each job: another user may remove the directory and make it again while this host runs. */
function openDirectory(segments: SegmentDirectory, name: string): number {
  const fd = openSegmentDirectory(segments);
  if (fd === -ENOENT || fd === -ENOTDIR) {
    throw noSuch(
      name,
      `a segment in the host's directory of them: it is looked for in ${segments.directory}, which is not there`,
    );
  }
  if (fd < 0) throw new IoError({ syscall: 'openat', errno: fd, path: segments.directory });
  return fd;
}

const noSuch = (name: string, accepted: string): RequestError =>
  new RequestError({ field: 'source.name', value: name, accepted });

/** True if rows of `segment` can be written straight from its mapping, which begins at a page, to a file of this `alignment`. */
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
