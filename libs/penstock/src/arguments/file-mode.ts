/** Permission bits as `fs.open` takes them. */
import { assertInteger, invalidValue } from './node-errors.ts';
import { umask } from './umask.ts';

/** What fs makes a file with; nothing is asked for then. */
const MODE_OF_NEW = 0o666;
const UINT32_MAX = 2 ** 32 - 1;

/** The bits of `mode`, set-user-ID and the like included; undefined for fs's default. @throws TypeError or RangeError */
export function readFileMode(mode: unknown): number | undefined {
  if (mode === undefined || mode === null) return undefined;
  let bits: unknown = mode;
  if (typeof mode === 'string') {
    if (!/^[0-7]+$/.test(mode)) {
      throw invalidValue('mode', mode, 'must be a 32-bit unsigned integer or an octal string');
    }
    bits = Number.parseInt(mode, 8);
  }
  assertInteger('mode', bits, 0, UINT32_MAX);
  const permissions = bits & 0o7777;
  return permissions === MODE_OF_NEW ? undefined : permissions;
}

/** What a file has of `bits` that fs has made and filled. */
export function bitsOfNew(bits: number): number {
  const made = bits & ~umask();
  if (process.geteuid?.() === 0) return made;
  // Of a file of anybody else the kernel takes these rights with the first write.
  return made & ~0o4000 & ((made & 0o010) === 0 ? ~0 : ~0o2000);
}
