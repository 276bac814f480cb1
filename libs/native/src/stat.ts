/** What the kernel knows of a file, its file system and its mount. */
import { constants } from 'node:os';
import { AT_EMPTY_PATH } from './flags.ts';
import { NR, fail, libc } from './libc.ts';
import { fromWords } from './words.ts';

const { ENOSYS } = constants.errno;

const fstatfsC = libc.func('int fstatfs(int, void *)');
/** fstatfs(2) into `buffer` (120 bytes): 0 or -errno. */
export const fstatfs = (fd: number, buffer: NodeJS.ArrayBufferView): number => fail(fstatfsC(fd, buffer));

/** Bytes of a `struct statx`. */
export const STATX_BYTES = 256;
const syscallStatx = libc.func('long syscall(long, long, str, long, long, void *)');
/** statx(2) into `buffer` (256 bytes): 0 or -errno. An empty `path` with AT_EMPTY_PATH names `dirFd` itself. */
export const statx = (dirFd: number, path: string, flags: number, mask: number, buffer: Uint8Array): number =>
  fail(Number(syscallStatx(NR.statx, dirFd, path, flags, mask, buffer)));

const STATX_MNT_ID = 0x1000;
const STATX_MNT_ID_UNIQUE = 0x4000;
const STX_MNT_ID_WORD = 0x90 / 4;
const mountStat = new Uint32Array(new ArrayBuffer(STATX_BYTES));
function mountId(fd: number, mask: number): number {
  const result = fail(Number(syscallStatx(NR.statx, fd, '', AT_EMPTY_PATH, mask, mountStat)));
  if (result < 0) return result;
  if ((mountStat[0]! & mask) === 0) return -ENOSYS;
  return fromWords(mountStat[STX_MNT_ID_WORD]!, mountStat[STX_MNT_ID_WORD + 1]!);
}
/** The number of the mount that an open file lies on, as in /proc/self/mountinfo, or -errno; -ENOSYS before Linux 5.8. */
export const mountIdOf = (fd: number): number => mountId(fd, STATX_MNT_ID);
/** A number that no other mount gets before the machine starts anew, or -errno; -ENOSYS before Linux 6.8. */
export const uniqueMountIdOf = (fd: number): number => mountId(fd, STATX_MNT_ID_UNIQUE);
