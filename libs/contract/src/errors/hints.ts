/** What to do about a failed system call: one table, from (call, errno) to advice that a person can act on. */

const OPEN: readonly string[] = ['open', 'openat', 'openat2'];
const WRITE: readonly string[] = ['pwrite', 'write', 'pwritev', 'pwrite64'];
const READ: readonly string[] = ['pread', 'read', 'preadv', 'pread64'];
const SYNC: readonly string[] = ['fsync', 'fdatasync', 'sync_file_range', 'syncfs'];
const RENAME: readonly string[] = ['rename', 'renameat', 'renameat2', 'link', 'linkat'];
const GROW: readonly string[] = ['fallocate', 'posix_fallocate', 'ftruncate', 'truncate'];
const AIO_LIMITS = 'compare /proc/sys/fs/aio-nr with /proc/sys/fs/aio-max-nr';

interface Hint {
  code: string;
  /** The calls it applies to; absent: any call. */
  syscalls?: readonly string[];
  advice: string;
}

/** The first entry that fits wins: the particular stands before the general. */
const HINTS: readonly Hint[] = [
  {
    code: 'EINVAL',
    syscalls: [...WRITE, ...READ],
    advice:
      'Direct I/O needs the memory address, the file offset and the length to be multiples of the alignment of this file ' +
      '(statx DIOALIGN; usually 512 or 4096 bytes). This is a fault of Penstock unless the file system was changed under it; ' +
      '`penstock doctor` shows the alignment of each root.',
  },
  {
    code: 'EINVAL',
    syscalls: OPEN,
    advice:
      'The file system refused the flags, most likely O_DIRECT (tmpfs before Linux 6.6, some FUSE and network file systems); ' +
      '`penstock doctor` shows which mode each root supports.',
  },
  { code: 'EINVAL', syscalls: GROW, advice: 'The length must be above 0 and within what the file system can hold.' },
  {
    code: 'EINVAL',
    syscalls: ['io_setup'],
    advice: 'The queue depth must be from 1 to what aio-max-nr allows; give a smaller --depth.',
  },
  {
    code: 'EINVAL',
    syscalls: ['io_submit', 'io_getevents', 'io_destroy'],
    advice: 'The AIO context is gone or an iocb is malformed: a fault of Penstock, please report it with this message.',
  },
  {
    code: 'EINVAL',
    syscalls: RENAME,
    advice: 'A directory cannot be moved into itself, and the flags must be supported.',
  },
  {
    code: 'EINVAL',
    advice: 'An argument was refused by the kernel or the file system: most likely a fault of Penstock.',
  },
  {
    code: 'EFAULT',
    advice:
      'The kernel could not reach the memory: a row was unmapped while in use. A fault of Penstock, please report it.',
  },
  {
    code: 'EBADF',
    advice: 'The descriptor is closed or not open for this: a fault of Penstock, please report it with this message.',
  },
  {
    code: 'ENOSPC',
    advice:
      'The file system is full, or out of inodes: check `df -h` and `df -i` for the root, remove what is not needed or ' +
      'use another root. The job waits for space, and no attempt is counted.',
  },
  {
    code: 'EDQUOT',
    advice:
      'The quota of this user, group, project or subvolume is used up: see `quota -s`, `xfs_quota` or ' +
      '`btrfs qgroup show`, then raise it or free space. The job waits for that, and no attempt is counted.',
  },
  {
    code: 'EIO',
    syscalls: [...WRITE, ...SYNC, ...GROW],
    advice:
      'The device failed to take the bytes. This file must not be trusted: after such an error a later sync may report ' +
      'success without the bytes, so the next attempt rewrites it from the source. See `dmesg` and the health of the ' +
      'device (`smartctl -a`).',
  },
  {
    code: 'EIO',
    syscalls: READ,
    advice: 'The device could not read these bytes: see `dmesg` and `smartctl -a`; the source may have to be restored.',
  },
  {
    code: 'EIO',
    advice: 'The device or the file system failed: see `dmesg` and the health of the device (`smartctl -a`).',
  },
  {
    code: 'EBADMSG',
    advice: 'The file system found bytes that do not match their checksum: see `dmesg`, and run a scrub or fsck.',
  },
  { code: 'EUCLEAN', advice: 'The file system is damaged: see `dmesg`, unmount it and run fsck before writing to it.' },
  {
    code: 'EROFS',
    advice:
      'The file system is mounted read-only, or the kernel made it so after an error: see `dmesg` and `findmnt`, remount ' +
      'it writable (`mount -o remount,rw`), or use another root.',
  },
  {
    code: 'EACCES',
    advice:
      'The user that runs the host lacks permission here: it needs search permission on every directory of the path and ' +
      'write permission on the last one (`namei -l` shows them); SELinux and AppArmor can refuse as well.',
  },
  {
    code: 'EPERM',
    advice:
      'The operation is forbidden whatever the permissions say: the file or its directory is immutable or append-only ' +
      '(`lsattr`, `lsattr -d`), sealed, or a security policy or seccomp filter refuses the call.',
  },
  {
    code: 'ENOENT',
    syscalls: RENAME,
    advice:
      'The temporary file or its directory vanished while it was written: is something else cleaning up this root?',
  },
  {
    code: 'ENOENT',
    advice: 'Nothing has this name: check the spelling and the root, and that it was not moved or deleted.',
  },
  {
    code: 'ENOTDIR',
    advice: 'A component before the last is a file, not a directory: choose another path or remove that file.',
  },
  { code: 'EISDIR', advice: 'A directory has this name: choose another path; directories are never replaced.' },
  { code: 'ENOTEMPTY', advice: 'A directory that is not empty has this name: choose another path.' },
  {
    code: 'EEXIST',
    advice: 'The file exists and the request says mode "create": choose another path, or mode "replace".',
  },
  {
    code: 'ELOOP',
    advice:
      'A component of the path is a symbolic link that may not be followed here: paths must stay inside their root. Use ' +
      'the real path, or configure the place the link leads to as a root of its own.',
  },
  {
    code: 'EXDEV',
    syscalls: OPEN,
    advice:
      'The path leads out of its root (by a symbolic link or ".."): paths must stay inside. Use the real path, or ' +
      'configure the place it leads to as a root of its own.',
  },
  {
    code: 'EXDEV',
    syscalls: RENAME,
    advice:
      'The temporary file and its destination are on different file systems: is something mounted inside the root?',
  },
  { code: 'ENAMETOOLONG', advice: 'A component may have 255 bytes, the whole path 4095: choose shorter names.' },
  {
    code: 'EFBIG',
    advice:
      'The size is beyond what the file system allows for one file (16 TiB on ext4 with 4 KiB blocks) or beyond the file ' +
      'size limit of the process: see `ulimit -f`, LimitFSIZE= of the systemd unit, or split the file.',
  },
  { code: 'EOVERFLOW', advice: 'The size or offset does not fit the call: split the file.' },
  {
    code: 'EAGAIN',
    syscalls: ['io_setup'],
    advice:
      `The system's limit of AIO requests is used up: ${AIO_LIMITS}, raise it (\`sysctl fs.aio-max-nr=1048576\`), stop what ` +
      'holds them (databases, other hosts), or run fewer threads or a smaller depth.',
  },
  {
    code: 'EAGAIN',
    syscalls: ['io_submit'],
    advice:
      'The kernel had no room for more requests for longer than was waited: run fewer threads or a smaller depth.',
  },
  {
    code: 'EAGAIN',
    syscalls: ['openat2'],
    advice: 'Something was renamed or mounted inside the root while the path was followed: it is tried again.',
  },
  {
    code: 'EAGAIN',
    advice: 'The kernel was out of a resource for a moment: it is tried again while attempts are left.',
  },
  {
    code: 'ENOMEM',
    syscalls: ['io_setup'],
    advice: `The kernel has no memory for an AIO context: run fewer threads or a smaller depth; ${AIO_LIMITS}.`,
  },
  {
    code: 'ENOMEM',
    advice:
      'Memory ran out: give the host fewer or smaller rows, or raise its limit (MemoryMax= of the unit, the cgroup).',
  },
  {
    code: 'ENOSYS',
    syscalls: ['io_setup', 'io_submit', 'io_getevents', 'io_destroy'],
    advice:
      'This kernel or sandbox has no kernel AIO (gVisor, a seccomp filter, CONFIG_AIO off): writing works without it, slower.',
  },
  {
    code: 'ENOSYS',
    advice: 'This kernel or sandbox lacks the call: use a newer kernel, or allow it in the seccomp filter.',
  },
  {
    code: 'EMFILE',
    advice:
      'The process has too many open files: raise `ulimit -n` (LimitNOFILE= of the systemd unit) or write fewer at a time ' +
      '(--jobs of a host; jobs and streams of the library).',
  },
  {
    code: 'ENFILE',
    advice: 'The system has too many open files: see /proc/sys/fs/file-nr, and raise fs.file-max or close some.',
  },
  {
    code: 'EOPNOTSUPP',
    syscalls: GROW,
    advice: 'The file system cannot preallocate: writing works without it, slower.',
  },
  {
    code: 'EOPNOTSUPP',
    advice: 'The file system or kernel lacks this operation; `penstock doctor` shows what each root supports.',
  },
  {
    code: 'ETXTBSY',
    advice:
      'The file is a program that is running, which publish "atomic" replaces, or a swap file in use (/proc/swaps): stop ' +
      'the program, or `swapoff` the file.',
  },
  {
    code: 'EBUSY',
    syscalls: RENAME,
    advice:
      'Something is mounted there (`findmnt`), so it cannot be replaced: publish "in-place" writes what is mounted.',
  },
  { code: 'EBUSY', advice: 'Something else holds the file, such as a mount or swap: see `lsof` and `findmnt`.' },
  { code: 'ESTALE', advice: 'The network file system lost the file: check the server and mount, then try again.' },
  { code: 'ETIMEDOUT', advice: 'The storage behind this mount did not answer: check the network and the server.' },
  { code: 'ENODEV', advice: 'The device or file system does not support this, or the device is gone: see `dmesg`.' },
  {
    code: 'ENXIO',
    advice: 'The device is gone, or the path is a pipe or socket without a reader: see `dmesg` and `ls -l`.',
  },
  { code: 'ENOMEDIUM', advice: 'The drive holds no medium: insert one, or use another root.' },
  {
    code: 'ESPIPE',
    advice: 'The path is a pipe, socket or terminal, which has no offsets: only regular files can be written.',
  },
  {
    code: 'EILSEQ',
    advice: 'The file system refuses this name (a case-folding directory takes UTF-8 only): choose another.',
  },
  { code: 'EINTR', advice: 'A signal interrupted the call: it is tried again.' },
];

/** Advice for a failed call, as whole sentences; undefined where there is none worth printing. */
export function hintFor(syscall: string, code: string): string | undefined {
  const name = code === 'ENOTSUP' ? 'EOPNOTSUPP' : code; // libuv's name of the same errno
  return HINTS.find((hint) => hint.code === name && (hint.syscalls?.includes(syscall) ?? true))?.advice;
}
