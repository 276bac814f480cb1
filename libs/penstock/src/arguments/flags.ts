/** File system flags of `fs.createWriteStream`, and the mode of writing that each stands for. */
import { constants } from 'node:fs';
import type { WriteRequest } from '@penstock/contract';
import { assertInteger, invalidValue } from './node-errors.ts';

const { O_APPEND, O_CREAT, O_DIRECT, O_DSYNC, O_EXCL, O_NOCTTY, O_NONBLOCK, O_RDWR, O_SYNC, O_TRUNC, O_WRONLY } =
  constants;

/** The texts that fs takes. */
const TEXT = /^(?:r|rs|sr|w|wx|xw|a|ax|xa|as|sa)\+?$/;

const ACCESS = O_WRONLY | O_RDWR;
/** What they mean is done, or is no matter of a regular file. */
const KNOWN = ACCESS | O_APPEND | O_CREAT | O_DIRECT | O_DSYNC | O_EXCL | O_NOCTTY | O_NONBLOCK | O_SYNC | O_TRUNC;

/** What the flags of a stream ask for. */
export interface StreamFlags {
  mode: WriteRequest['mode'];
  /** Every byte is to be durable as it is written. */
  synchronous: boolean;
  /** It adds to a file that others may follow: they see that under its name from the start, also if it is a new one. */
  appends: boolean;
  /** No file is made. */
  mustExist: boolean;
  /** A file that exists is overwritten, and one that does not is made: O_CREAT alone. */
  makes: boolean;
}

/** @throws TypeError or RangeError with Node's codes, for what fs refuses and for what this library does not do */
export function readFlags(flags: unknown): StreamFlags {
  const bits = bitsOf(flags);
  const has = (flag: number): boolean => (bits & flag) === flag;
  const isWritten = (bits & ACCESS) === O_WRONLY || (bits & ACCESS) === O_RDWR;
  if (!isWritten) throw invalidValue('flags', flags, 'is invalid for a stream that writes: give "w", "a" or "r+"');
  const others = bits & ~KNOWN;
  if (others !== 0) throw invalidValue('flags', flags, `has flags that nothing is done about here: ${names(others)}`);
  const rest = { synchronous: has(O_DSYNC), appends: has(O_APPEND), mustExist: !has(O_CREAT), makes: false };
  if (has(O_CREAT) && has(O_EXCL)) return { ...rest, mode: 'create' };
  if (has(O_TRUNC)) return { ...rest, mode: 'replace' };
  if (has(O_APPEND)) return { ...rest, mode: 'append' };
  return { ...rest, mode: 'overwrite', makes: has(O_CREAT) };
}

function bitsOf(flags: unknown): number {
  if (flags === null) return 0; // as fs reads it
  if (typeof flags === 'number') {
    assertInteger('flags', flags, -(2 ** 31), 2 ** 31 - 1);
    return flags;
  }
  if (typeof flags !== 'string' || !TEXT.test(flags)) throw invalidValue('flags', flags);
  const has = (letter: string): boolean => flags.includes(letter);
  const made = (has('w') ? O_CREAT | O_TRUNC : 0) | (has('a') ? O_CREAT | O_APPEND : 0);
  const access = has('+') ? O_RDWR : has('r') ? 0 : O_WRONLY;
  return access | made | (has('x') ? O_EXCL : 0) | (has('s') ? O_SYNC : 0);
}

function names(bits: number): string {
  const known = Object.entries(constants).filter(([name, value]) => name.startsWith('O_') && value !== 0);
  const found = known.filter(([, value]) => (bits & value) === value);
  return found.length > 0 ? found.map(([name]) => name).join(', ') : `0o${(bits >>> 0).toString(8)}`;
}
