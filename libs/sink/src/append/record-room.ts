/** Makes room in a full record of appends: drops the entries whose jobs will not need them again, as the queue answers. */
import { constants } from 'node:os';
import { type Fate, IoError } from '@penstock/contract';
import { AnswerWanted, type Answers } from './inquiry.ts';
import {
  APPENDS_ATTRIBUTE,
  type AppendRecord,
  DONE,
  type Entry,
  KEPT,
  NO_JOB,
  addedAtMs,
  endOfEntry,
  isFull,
  lineOf,
  placeOf,
  removeEntry,
} from './record.ts';

const { EBUSY } = constants.errno;

/**
 * Drops what can be dropped from the `record` of the file at `path`, but not `own`; false if nothing can. To be called under
 * the file's lock; the caller stores the record.
 * @throws AnswerWanted if the queue has to be asked
 * @throws IoError EBUSY if the record stays full
 */
export function makeRoom(path: string, record: AppendRecord, own: Entry, { fates }: Answers): boolean {
  const others = record.entries.filter((entry) => entry !== own && entry.job !== NO_JOB);
  const unasked = others.filter((entry) => !fates.has(lineOf(entry)));
  if (unasked.length > 0) throw questionAbout(path, unasked, (entry) => placeOf(record.fileId, entry));
  for (const entry of others) {
    const fate = fates.get(lineOf(entry));
    if (!isOver(fate)) continue;
    removeEntry(record.entries, entry);
    if (fate === 'gone') continue;
    record.newestMs = Math.max(record.newestMs, addedAtMs(entry.job));
    record.handedEnd = Math.max(record.handedEnd, endOfEntry(entry));
  }
  // Entries of another Redis, or without a job's name: those that are done are dropped, the oldest first.
  for (const entry of others) {
    if (!isFull(record)) break;
    const isDone = entry.state === DONE || entry.state === KEPT;
    if (isDone && fates.get(lineOf(entry)) === 'unknown') removeEntry(record.entries, entry);
  }
  if (isFull(record)) throw tooMany(path, others.length);
  return others.some((entry) => !record.entries.includes(entry));
}

/** What has become of the jobs of these entries? A job that has ended is to keep the text of `place` for its entry. */
export function questionAbout(path: string, entries: readonly Entry[], place: (entry: Entry) => string): AnswerWanted {
  const asked = entries.map((entry) => ({ job: entry.job, jobKey: entry.jobKey, place: place(entry) }));
  return new AnswerWanted(path, { own: null, entries: asked }, entries.map(lineOf));
}

const isOver = (fate: Fate | undefined): boolean => fate === 'gone' || fate === 'completed' || fate === 'failed';

function tooMany(path: string, count: number): IoError {
  const hint =
    `Attribute ${APPENDS_ATTRIBUTE} is full: ${count} appends to this file are not finished, and their jobs may come ` +
    `again. Let these jobs end, or remove them.`;
  return new IoError({ syscall: 'fsetxattr', errno: -EBUSY, path, hint });
}
