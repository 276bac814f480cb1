/**
 * What a file records of the writes that lengthen it: an attribute of the very file, read and written under its lock.
 *
 *   v2 <file> <newest> <end>
 *   <key> <offset> <length> <state> <job>[ <before>]     a line for each write, the oldest first
 *
 * All numbers are in base 36. `file` is random and names this file as long as nobody else cuts it; `newest` and `end` are
 * of the entries that were handed over to their jobs: when the last of these jobs was added, and where in the file the
 * last of these ranges ends.
 */
import { randomBytes } from 'node:crypto';
import { constants } from 'node:os';
import { IoError } from '@penstock/contract';
import { native } from '@penstock/native';

const { ENODATA, EOPNOTSUPP } = constants.errno;

export const APPENDS_ATTRIBUTE = 'user.penstock.appends';
/** Those of jobs; a write outside any queue comes on top of them. */
const ENTRIES_MAX = 24;
/** A file system may have one block of 4096 bytes for all attributes of a file. */
const TEXT_BYTES_MAX = 2560;
/** Read into again and again. One write outside any queue comes on top, and one with a very long name. */
const stored = new Uint8Array(new ArrayBuffer(8192));

/** Of a write that belongs to no queue: nobody tries it again. */
export const NO_JOB = '-';
/** Of an entry in the older format, which named no job. */
const UNKNOWN_JOB = '?';

/** The file is as long as what `length` says, which the write has extended it by so far: how long it gets is not known. */
export const GROWING = 'g';
/** The file reaches over the whole range, of which bytes are written. */
export const BEGUN = 'b';
/** All bytes are written, and the file was cut where they end if nothing stood behind them. */
export const DONE = 'd';
/** It was done, or other writes stand behind it, and it is written again: it is never cut off. */
export const AGAIN = 'a';
/** Done once more. */
export const KEPT = 'k';

type State = typeof GROWING | typeof BEGUN | typeof DONE | typeof AGAIN | typeof KEPT;

/** One write that lengthened the file, or may have. */
export interface Entry {
  /** Of the job and the path that it wrote to. */
  jobKey: string;
  offset: number;
  length: number;
  state: State;
  /** Whose it is; NO_JOB outside any queue. Its last part, behind a "/", says when the job was added. */
  job: string;
  /** Where the file ended before it: its offset, unless it overwrites. */
  before: number;
}

export interface AppendRecord {
  fileId: string;
  newestMs: number;
  handedEnd: number;
  entries: Entry[];
  /** False where this file system keeps no attributes. */
  isKept: boolean;
}

export const endOfEntry = ({ offset, length }: Entry): number => offset + length;

/** When the job that `ref` names was added, in milliseconds since the epoch. */
export const addedAtMs = (ref: string): number => Number.parseInt(ref.slice(ref.lastIndexOf('/') + 1), 36);

/** @throws IoError where the file may record something that cannot be read */
export function readRecord(fd: number, path: string): AppendRecord {
  const length = native.fgetxattr(fd, APPENDS_ATTRIBUTE, stored);
  if (length >= 0) return parse(Buffer.from(stored.buffer, 0, length).toString('latin1'));
  if (length === -ENODATA || length === -EOPNOTSUPP) return emptyRecord(length === -ENODATA);
  const hint = `What was appended to it before cannot be read (attribute ${APPENDS_ATTRIBUTE}): it might be appended twice.`;
  throw new IoError({ syscall: 'fgetxattr', errno: length, path, hint });
}

export const newFileId = (): string => randomBytes(6).toString('base64url');

function emptyRecord(isKept: boolean): AppendRecord {
  return { fileId: newFileId(), newestMs: 0, handedEnd: 0, entries: [], isKept };
}

/** True where the entries are more than a file may be asked to keep. */
export function isFull({ entries }: AppendRecord, text: string): boolean {
  const queued = entries.filter(({ job }) => job !== NO_JOB);
  return queued.length > ENTRIES_MAX || (text.length > TEXT_BYTES_MAX && queued.length > 1);
}

/** 0 or -errno. */
export function storeRecord(fd: number, record: AppendRecord, text: string = format(record)): number {
  if (record.entries.length > 0 || record.newestMs > 0)
    return native.fsetxattr(fd, APPENDS_ATTRIBUTE, Buffer.from(text));
  const removed = native.fremovexattr(fd, APPENDS_ATTRIBUTE);
  return removed === -ENODATA ? 0 : removed;
}

export function format({ fileId, newestMs, handedEnd, entries }: AppendRecord): string {
  return [`v2 ${fileId} ${base36(newestMs)} ${base36(handedEnd)}\n`, ...entries.map(lineOf)].join('');
}

/** The entry as it stands in the record: another text is another entry, or the same after something has become of it. */
export function lineOf({ jobKey, offset, length, state, job, before }: Entry): string {
  const line = `${jobKey} ${base36(offset)} ${base36(length)} ${state} ${job}`;
  return before === offset ? `${line}\n` : `${line} ${base36(before)}\n`;
}

const base36 = (value: number): string => value.toString(36);
const fromBase36 = (text: string | undefined): number => Number.parseInt(text ?? '', 36);

function parse(text: string): AppendRecord {
  const head = /^v2 (\S+) ([\da-z]+) ([\da-z]+)\n/.exec(text);
  if (head === null) return { ...emptyRecord(true), entries: parseOlder(text) };
  const entries: Entry[] = [];
  for (const found of text.matchAll(/^(\S+) ([\da-z]+) ([\da-z]+) ([gbdak]) (\S+)(?: ([\da-z]+))?$/gm)) {
    const [, jobKey = '', at, long, state, job = '', before] = found;
    const offset = fromBase36(at);
    const end = before === undefined ? offset : fromBase36(before);
    entries.push({ jobKey, offset, length: fromBase36(long), state: state as State, job, before: end });
  }
  const [, fileId = '', newest, handed] = head;
  return { fileId, newestMs: fromBase36(newest), handedEnd: fromBase36(handed), entries, isKept: true };
}

/** `<key> <offset> <length> <0 or 1>`, in decimal digits, as it was before entries named their jobs. */
function parseOlder(text: string): Entry[] {
  const entries: Entry[] = [];
  for (const [, jobKey = '', at, long, done] of text.matchAll(/^(\S+) (\d+) (\d+) ([01])$/gm)) {
    const offset = Number(at);
    const state = done === '1' ? DONE : BEGUN;
    entries.push({ jobKey, offset, length: Number(long), state, job: UNKNOWN_JOB, before: offset });
  }
  return entries;
}

/** Where an entry's bytes stand, as its job keeps it once the file does no more. */
export const placeOf = (fileId: string, { offset, length }: Entry): string =>
  `${fileId} ${base36(offset)} ${base36(length)}`;

/** The range that `place` tells of, if it is one of the file `fileId`. */
export function rangeAt(place: string, fileId: string): Pick<Entry, 'offset' | 'length'> | null {
  const [id, offset, length] = place.split(' ');
  return id === fileId ? { offset: fromBase36(offset), length: fromBase36(length) } : null;
}
