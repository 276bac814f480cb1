/** The names and texts of Linux errno values, from Node's own tables plus the few that those lack. */
import { constants } from 'node:os';
import { getSystemErrorMap } from 'node:util';

/**
 * Texts of our own codes, and of those whose text in Node misleads for files or is missing. They are those of the
 * headers of the kernel, in lower case.
 */
const TEXTS: Readonly<Record<string, string>> = {
  EBADMSG: 'bad message (a checksum of the file system did not match)',
  ECHECKSUM: 'the bytes have another checksum than the request expects',
  EDEADLK: 'resource deadlock would occur',
  EDQUOT: 'disk quota exceeded',
  EINTEGRITY: 'the disk holds other bytes than were written',
  EIO: 'input/output error',
  EISDIR: 'is a directory',
  ELOOP: 'too many symbolic links',
  ENOLCK: 'no locks available',
  ENOLINK: 'link has been severed',
  ENOMEDIUM: 'no medium found',
  EOPNOTSUPP: 'operation not supported',
  ESTALE: 'stale file handle',
  ETIME: 'timer expired',
  EUCLEAN: 'structure needs cleaning (the file system is damaged)',
  EXDEV: 'cross-device link',
};

/** Linux values that Node names in neither table, and names that the kernel's documents use where libuv has another. */
const EXTRA_CODES: readonly (readonly [number, string])[] = [
  [95, 'EOPNOTSUPP'],
  [117, 'EUCLEAN'],
  [123, 'ENOMEDIUM'],
];

const codes = new Map<number, string>();
const errnos = new Map<string, number>();
const texts = new Map<string, string>();

for (const [code, errno] of Object.entries(constants.errno)) {
  // EWOULDBLOCK and ENOTSUP are second names of EAGAIN and EOPNOTSUPP: the maps below decide.
  errnos.set(code, errno);
  if (!codes.has(errno)) codes.set(errno, code);
}
for (const [errno, [code, text]] of getSystemErrorMap()) {
  codes.set(-errno, code);
  errnos.set(code, -errno);
  texts.set(code, text);
}
for (const [errno, code] of EXTRA_CODES) {
  codes.set(errno, code);
  errnos.set(code, errno);
}
for (const [code, text] of Object.entries(TEXTS)) texts.set(code, text);

/** 'ENOSPC' for 28 or -28; 'ERRNO_1234' for a number that has no name. */
export function codeOfErrno(errno: number): string {
  const positive = Math.abs(errno);
  return codes.get(positive) ?? `ERRNO_${positive}`;
}

/** The negative errno of a name such as 'ENOSPC' (-28); undefined if the name is not one of errno's. */
export function errnoOfCode(code: string): number | undefined {
  const errno = errnos.get(code);
  return errno === undefined ? undefined : -errno;
}

/** 'no space left on device' for 'ENOSPC'; 'unknown error' if there is no text. */
export function textOfCode(code: string): string {
  return texts.get(code) ?? 'unknown error';
}

/**
 * What trying again cannot change: the request, the permissions or the file system must change first, or, for EINVAL,
 * EBADF and EFAULT, our own code. Everything else may pass: space is freed, a descriptor closed, a device comes back.
 */
const PERMANENT: ReadonlySet<string> = new Set([
  'EROFS',
  'EACCES',
  'EPERM',
  'ENOENT',
  'EISDIR',
  'ENOTDIR',
  'ELOOP',
  'EXDEV',
  'EEXIST',
  'ENOTEMPTY',
  'ENAMETOOLONG',
  'EFBIG',
  'EOVERFLOW',
  'EINVAL',
  'EBADF',
  'EFAULT',
  'ESPIPE',
  'EILSEQ',
  'ENOSYS',
  'ENOTSUP',
  'EOPNOTSUPP',
  'EUCLEAN',
]);

/** Whether another attempt may succeed after this errno name ended one. */
export function isRetryable(code: string): boolean {
  return !PERMANENT.has(code);
}
