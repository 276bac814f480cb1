/** Names in directories: made, moved, removed. */
import { NR, fail, libc } from './libc.ts';

export const RENAME_NOREPLACE = 1;
export const RENAME_EXCHANGE = 2;

const mkdiratC = libc.func('int mkdirat(int, str, uint32_t)');
/** mkdirat(2): 0 or -errno. */
export const mkdirat = (dirFd: number, path: string, mode: number): number => fail(mkdiratC(dirFd, path, mode));

const unlinkatC = libc.func('int unlinkat(int, str, int)');
/** unlinkat(2) of a file: 0 or -errno. */
export const unlinkat = (dirFd: number, path: string): number => fail(unlinkatC(dirFd, path, 0));

const renameatC = libc.func('int renameat(int, str, int, str)');
/** renameat(2): 0 or -errno. */
export const renameat = (fromDirFd: number, from: string, toDirFd: number, to: string): number =>
  fail(renameatC(fromDirFd, from, toDirFd, to));

const syscallRenameat2 = libc.func('long syscall(long, long, str, long, str, long)');
/** renameat2(2): 0 or -errno; -EINVAL if the file system does not know the flag. */
export const renameat2 = (fromDirFd: number, from: string, toDirFd: number, to: string, flags: number): number =>
  fail(Number(syscallRenameat2(NR.renameat2, fromDirFd, from, toDirFd, to, flags)));

const linkatC = libc.func('int linkat(int, str, int, str, int)');
/** linkat(2): 0 or -errno. */
export const linkat = (fromDirFd: number, from: string, toDirFd: number, to: string, flags: number = 0): number =>
  fail(linkatC(fromDirFd, from, toDirFd, to, flags));
