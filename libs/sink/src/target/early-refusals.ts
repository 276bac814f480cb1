/**
 * Refuses a write before its first byte if the kernel would refuse the rename at its end: because of inode flags (chattr),
 * mounts or sticky directories, which statx(2) shows, or of a swap file, which /proc/swaps lists. What none of them shows is
 * refused by the rename.
 */
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { IoError, type WriteRequest } from '@penstock/contract';
import { native } from '@penstock/native';
import { type FileStat, statAt, unescapeName } from '@penstock/disk';

const { EBUSY, EPERM, ETXTBSY } = constants.errno;

/** swapon(8) takes no file of fewer pages. */
const SWAP_BYTES_MIN = 40_960;
const PAGE_BYTES = 4096;
/** The bit of CAP_FOWNER in CapEff of proc_pid_status(5): with it a process may remove any file from a sticky directory. */
const CAP_FOWNER = 3n;

/**
 * Checks the directory and the existing file.
 * @param directory of the file
 * @param existing the file with the target's name; null if there is none
 * @param isDone true if an earlier attempt has given the file its name already
 * @throws IoError EPERM, EBUSY or ETXTBSY, named as the call that would fail
 */
export function refuseEarly(
  directory: FileStat,
  existing: FileStat | null,
  path: string,
  request: WriteRequest,
  isDone: boolean,
): void {
  const { mode, publish } = request;
  if (existing?.isFile === true && isSwapFile(existing)) {
    const hint = 'It is a swap file in use (/proc/swaps): `swapoff` it first, or choose another path.';
    throw new IoError({ syscall: publish === 'atomic' ? 'renameat' : 'openat', errno: -ETXTBSY, path, hint });
  }
  if (publish === 'in-place') {
    if (existing === null && mode === 'create') refuseRename(directory, path);
    if (existing?.isAppendOnly === true && mode === 'append') refuseAttributes(existing, path, request);
    return;
  }
  if (isDone) return;
  refuseRename(directory, path);
  if (existing === null) return;
  if (existing.isMountRoot) {
    const hint =
      'Something is mounted over this very file (findmnt), so it cannot be replaced: publish "in-place" writes it.';
    throw new IoError({ syscall: 'renameat', errno: -EBUSY, path, hint });
  }
  if (existing.isImmutable || existing.isAppendOnly) {
    const hint = existing.isImmutable
      ? 'The file is immutable (lsattr): `chattr -i` it first, or choose another path.'
      : 'The file is append-only (lsattr): mode "append" writes behind its end; to replace it, `chattr -a` it first.';
    throw new IoError({ syscall: 'renameat', errno: -EPERM, path, hint });
  }
  refuseSticky(directory, existing, path);
}

/** In an append-only directory a temporary file can be neither renamed nor removed: each attempt would leave one. @throws IoError */
function refuseRename({ isAppendOnly }: FileStat, path: string): void {
  if (!isAppendOnly) return;
  const hint =
    'Its directory is append-only (lsattr): names can be made there, and none renamed or removed. publish "in-place" with ' +
    'mode "replace" or "append" writes there; or `chattr -a` the directory.';
  throw new IoError({ syscall: 'renameat', errno: -EPERM, path, hint });
}

/** Permissions and times of an append-only file cannot be set. @throws IoError if the request sets them */
function refuseAttributes(existing: FileStat, path: string, { fileMode, source }: WriteRequest): void {
  const hint = 'The file is append-only (lsattr): leave this out, or `chattr -a` it first.';
  if (source.kind === 'file' && source.mtime === 'keep') {
    throw new IoError({ syscall: 'futimens', errno: -EPERM, path, hint: `source.mtime "keep": ${hint}` });
  }
  const isAsAsked = fileMode === undefined || Number.parseInt(fileMode, 8) === existing.permissions;
  if (isAsAsked) return;
  throw new IoError({ syscall: 'fchmod', errno: -EPERM, path, hint: `fileMode "${fileMode}": ${hint}` });
}

/**
 * In a sticky directory only the file's owner, the directory's owner or a privileged process may replace a file (rename(2)).
 * @throws IoError
 */
function refuseSticky(directory: FileStat, existing: FileStat, path: string): void {
  if (!directory.isSticky) return;
  const writerId = process.geteuid!();
  if (existing.userId === writerId || directory.userId === writerId || mayRemoveOthers()) return;
  const hint =
    `Its directory is sticky and the file belongs to user ${existing.userId}, so that user ${writerId} cannot replace it: ` +
    'publish "in-place", or choose another path.';
  throw new IoError({ syscall: 'renameat', errno: -EPERM, path, hint });
}

function mayRemoveOthers(): boolean {
  const status = readFileSync('/proc/thread-self/status', 'latin1');
  const [, effective = '0'] = /^CapEff:\s*([\da-f]+)$/m.exec(status) ?? [];
  return ((BigInt(`0x${effective}`) >> CAP_FOWNER) & 1n) === 1n;
}

/** The list is read only for a file that could be one: whole pages without holes. */
function isSwapFile({ sizeBytes, allocatedBytes, identity }: FileStat): boolean {
  if (sizeBytes < SWAP_BYTES_MIN || sizeBytes % PAGE_BYTES !== 0 || allocatedBytes < sizeBytes) return false;
  return swapFiles().some((name) => {
    const stat = statAt(native.AT_FDCWD, name);
    return typeof stat !== 'number' && stat.identity === identity;
  });
}

function swapFiles(): string[] {
  let table: string;
  try {
    table = readFileSync('/proc/swaps', 'utf8');
  } catch {
    return []; // a sandbox without /proc/swaps: the kernel refuses the write itself
  }
  const names = table.split('\n').slice(1);
  return names.flatMap((line) => {
    const [, name, kind] = /^(\S+)\s+(\S+)/.exec(line) ?? [];
    return kind === 'file' ? [unescapeName(name!)] : [];
  });
}
