/**
 * File systems that open a file for direct I/O and then refuse its writes or reads (mergerfs and others over FUSE, some
 * network ones): the file is opened anew without O_DIRECT, and what was refused goes through the page cache.
 */
import { performance } from 'node:perf_hooks';
import { constants } from 'node:os';
import { IoError } from '@penstock/contract';
import { native } from '@penstock/native';
import type { Alignment, Device } from '@penstock/disk';

const { EINVAL, EOPNOTSUPP } = constants.errno;

/** The reason in the result of such a file. */
export const DIRECT_REFUSED =
  'this file system opens files for direct I/O (O_DIRECT) and refuses to write them so: they go through the page cache';
/** The reason in the result of a file for which direct I/O was not tried. */
export const DIRECT_OFF = 'direct I/O is turned off here (direct: off)';

/** After this time direct I/O is tried again: numbers of network and FUSE devices are used again for other file systems. */
const REMEMBERED_MS = 600_000;

/**
 * True if `result` is the file system's refusal of direct I/O that kept to its `alignment`. I/O that did not keep to it is a
 * bug of this program.
 * @param address in memory
 * @param at the offset in the file
 */
export function isRefusal(
  result: number,
  { memory, offset }: Alignment,
  address: number,
  at: number,
  length: number,
): boolean {
  if (result !== -EINVAL && result !== -EOPNOTSUPP) return false;
  return address % memory === 0 && at % offset === 0 && length % offset === 0;
}

/** The devices that have refused direct I/O to one thread although they had offered it. */
export class RefusingDevices {
  readonly #since = new Map<string, number>();

  note(device: Device): void {
    this.#since.set(keyOf(device), performance.now());
  }

  has(device: Device): boolean {
    if (this.#since.size === 0) return false;
    const since = this.#since.get(keyOf(device));
    if (since === undefined) return false;
    if (performance.now() - since < REMEMBERED_MS) return true;
    this.#since.delete(keyOf(device));
    return false;
  }
}

const keyOf = ({ major, minor }: Device): string => `${major}:${minor}`;

/**
 * Opens the file of `fd` anew without O_DIRECT, under the same descriptor number. To clear the flag by fcntl(2) is not
 * enough: a file system in user space has opened a file of its own with the flags of the open, and is not informed of the
 * change. A lock of the file is lost with the old open file.
 * @throws IoError naming the call that failed
 */
export function reopenBuffered(fd: number, path: string): void {
  const flags = native.statusFlags(fd);
  const own = `/proc/self/fd/${fd}`;
  const kept = flags & (native.O_WRONLY | native.O_RDWR | native.O_APPEND | native.O_DSYNC | native.O_NONBLOCK);
  const opened = flags < 0 ? flags : native.openat(native.AT_FDCWD, own, kept, 0);
  if (opened < 0) {
    const hint = `${own} was to be opened without direct I/O, which this file system refuses; --direct off does not try it.`;
    throw new IoError({ syscall: 'openat', errno: opened, path, hint });
  }
  const moved = native.duplicateTo(opened, fd);
  native.close(opened);
  if (moved < 0) throw new IoError({ syscall: 'dup3', errno: moved, path });
}
