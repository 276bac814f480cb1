/** File system flags of `fs.createWriteStream`, and the mode of writing that each stands for. */
import { constants } from 'node:fs';
import { RequestError, type WriteRequest } from '@penstock/contract';

const { O_APPEND, O_CREAT, O_EXCL, O_RDONLY, O_SYNC, O_TRUNC, O_WRONLY, O_RDWR } = constants;

type Mode = WriteRequest['mode'];

const MODES: Readonly<Record<string, Mode>> = {
  w: 'replace',
  wx: 'create',
  a: 'append',
  ax: 'create', // what must not exist has no end to append to
  'r+': 'overwrite',
};

/** What the flags of a stream ask for. */
export interface StreamFlags {
  mode: Mode;
  /** Every byte is to be durable as it is written. */
  synchronous: boolean;
  /** It adds to a file that others may follow: they see that under its name from the start, also if it is a new one. */
  appends: boolean;
}

export function readFlags(flags: string | number): StreamFlags {
  if (typeof flags === 'number') return readNumber(flags);
  const synchronous = flags.includes('s');
  const plain = flags.replace('s', '').replace('xw', 'wx').replace('xa', 'ax');
  // These files are not read from, so that w+ is w; r+ alone has no form without.
  const mode = MODES[plain] ?? MODES[plain.replace('+', '')];
  if (mode === undefined) throw refused(flags);
  return { mode, synchronous, appends: plain.startsWith('a') };
}

function readNumber(flags: number): StreamFlags {
  const has = (flag: number): boolean => (flags & flag) === flag;
  const synchronous = has(O_SYNC);
  const appends = has(O_APPEND);
  // oxlint-disable-next-line no-bitwise -- they are bits
  if ((flags & (O_WRONLY | O_RDWR)) === O_RDONLY) throw refused(flags);
  if (has(O_CREAT) && has(O_EXCL)) return { mode: 'create', synchronous, appends };
  if (appends) return { mode: 'append', synchronous, appends };
  if (has(O_TRUNC)) return { mode: 'replace', synchronous, appends };
  return { mode: 'overwrite', synchronous, appends };
}

const refused = (flags: string | number): RequestError =>
  new RequestError({ field: 'flags', value: flags, accepted: `"w", "wx", "a", "ax" or "r+"` });
