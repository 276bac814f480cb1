/**
 * The record of the writes that lengthened a file: an extended attribute of that file, read and written under its lock.
 *
 *   v2 <file> <newest> <end>
 *   <key> <offset> <length> <state> <job>[ <before>]     a line for each write, the oldest first
 *
 * All numbers are in base 36. `file` is random and names this file as long as no other program cuts it. `newest` and `end`
 * are about the entries that were handed over to their jobs: when the last of these jobs was added, and where in the file
 * the last of these ranges ends.
 *
 * The decision: libs/README.md#append-record.
 */
import { randomBytes } from 'node:crypto';
import { constants } from 'node:os';
import { IoError } from '@penstock/contract';
import { native } from '@penstock/native';

const { ENODATA, EOPNOTSUPP } = constants.errno;

export const APPENDS_ATTRIBUTE = 'user.penstock.appends';
/** Entries of jobs; one of a write outside any queue may come on top. */
const ENTRIES_MAX = 24;
/** The longest text: some file systems have one block of 4096 bytes for all attributes of a file. */
const TEXT_BYTES_MAX = 2560;
/** What a record is read into. Larger than TEXT_BYTES_MAX, for an entry outside any queue and one with a very long name. */
const stored = new Uint8Array(new ArrayBuffer(8192));

/** The job of a write that belongs to no queue, and so is never retried. */
export const NO_JOB = '-';
/** The job of an entry in the older format, which named none. */
const UNKNOWN_JOB = '?';

/** The final length is not known; `length` is what the write has extended the file by so far. */
export const GROWING = 'g';
/** The file reaches over the whole range, whose bytes are being written. */
export const BEGUN = 'b';
/** All bytes are written, and the file ends with them unless others stand behind them. */
export const DONE = 'd';
/** It is written once more although it was done, or bytes of other writes stand behind it: it is never cut off. */
export const AGAIN = 'a';
/** It was written once more, and is done. */
export const KEPT = 'k';

type State = typeof GROWING | typeof BEGUN | typeof DONE | typeof AGAIN | typeof KEPT;

/** One write that lengthened the file, or may have. */
export interface Entry {
  /** The key of the job and the path that it wrote to. */
  jobKey: string;
  offset: number;
  length: number;
  state: State;
  /** The job; NO_JOB outside any queue. Its last part, behind a "/", is the time when the job was added. */
  job: string;
  /** Where the file ended before this write: at its offset, unless it overwrites. */
  before: number;
}

/** The whole record of one file. */
export interface AppendRecord {
  fileId: string;
  newestMs: number;
  handedEnd: number;
  entries: Entry[];
  /** False if the file system keeps no attributes. */
  isKept: boolean;
}

export const endOfEntry = ({ offset, length }: Entry): number => offset + length;

/** Removes `entry` from `entries`, if it is among them. */
export function removeEntry(entries: Entry[], entry: Entry): void {
  const index = entries.indexOf(entry);
  if (index !== -1) entries.splice(index, 1);
}

/** When the job that `ref` names was added, in milliseconds since the epoch. */
export const addedAtMs = (ref: string): number => Number.parseInt(ref.slice(ref.lastIndexOf('/') + 1), 36);

/** @throws IoError if the file may have a record that cannot be read */
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

/** True if there are more entries than a file is to keep, or their text is too long. */
export function isFull(record: AppendRecord): boolean {
  const queued = record.entries.filter(({ job }) => job !== NO_JOB);
  return queued.length > ENTRIES_MAX || (queued.length > 1 && format(record).length > TEXT_BYTES_MAX);
}

/** Stores the record, or removes the attribute if it is empty: 0 or -errno. */
export function storeRecord(fd: number, record: AppendRecord): number {
  if (record.entries.length > 0 || record.newestMs > 0)
    return native.fsetxattr(fd, APPENDS_ATTRIBUTE, Buffer.from(format(record)));
  const removed = native.fremovexattr(fd, APPENDS_ATTRIBUTE);
  return removed === -ENODATA ? 0 : removed;
}

function format({ fileId, newestMs, handedEnd, entries }: AppendRecord): string {
  return [`v2 ${fileId} ${base36(newestMs)} ${base36(handedEnd)}\n`, ...entries.map(lineOf)].join('');
}

/** The text of an entry in the record: it changes with whatever becomes of the entry. */
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

/** Reads the older format: `<key> <offset> <length> <0 or 1>` in decimal digits, without the job. */
function parseOlder(text: string): Entry[] {
  const entries: Entry[] = [];
  for (const [, jobKey = '', at, long, done] of text.matchAll(/^(\S+) (\d+) (\d+) ([01])$/gm)) {
    const offset = Number(at);
    const state = done === '1' ? DONE : BEGUN;
    entries.push({ jobKey, offset, length: Number(long), state, job: UNKNOWN_JOB, before: offset });
  }
  return entries;
}

/** Where an entry's bytes stand, as text: its job keeps that once the file's record does no longer. */
export const placeOf = (fileId: string, { offset, length }: Entry): string =>
  `${fileId} ${base36(offset)} ${base36(length)}`;

/** The range that `place` means, if it is one in the file `fileId`. */
export function rangeAt(place: string, fileId: string): Pick<Entry, 'offset' | 'length'> | null {
  const [id, offset, length] = place.split(' ');
  return id === fileId ? { offset: fromBase36(offset), length: fromBase36(length) } : null;
}
