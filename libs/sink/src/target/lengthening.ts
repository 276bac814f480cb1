/**
 * Writes that lengthen a file: where each begins, and how long the file is without what a dead one has left.
 *
 * A job runs at least once, and may be retried by hand long after it has ended; its bytes must stand in the file once.
 * So each of these writes is recorded with the file (append-record.ts), under the file's lock: first the record, then
 * the file is extended over the whole range, then it is written. An attempt that finds an entry of its job writes the
 * same bytes to the same place, whatever the queue says of how often it was begun.
 *
 * An entry goes only where its job cannot come again in need of it: the job is gone, or it has ended and keeps itself
 * where its bytes stand. The queue is asked, and asked only where the record is full, where the last range was begun and
 * never done, or where a job is old enough to be one of those that keep their place (append-inquiry.ts).
 */
import { constants } from 'node:os';
import { IoError } from '@penstock/contract';
import { native } from '@penstock/native';
import { cutFile } from '../device/freed-blocks.ts';
import { type Answers, AnswerWanted, type Fate } from '../attempt/append-inquiry.ts';
import {
  AGAIN,
  APPENDS_ATTRIBUTE,
  type AppendRecord,
  BEGUN,
  DONE,
  type Entry,
  GROWING,
  KEPT,
  NO_JOB,
  addedAtMs,
  endOfEntry,
  format,
  isFull,
  lineOf,
  newFileId,
  placeOf,
  rangeAt,
  readRecord,
  storeRecord,
} from '../attempt/append-record.ts';
import { BLOCK_BYTES_MAX } from '@penstock/disk';

const { E2BIG, EBUSY, ENOSPC, EOPNOTSUPP, ERANGE, ESTALE } = constants.errno;

/** What a write that lengthens a file says of itself. */
export interface LengtheningOrder {
  jobKey: string;
  /** As in the record: NO_JOB for a write that nobody tries again. */
  job: string;
  /** An earlier attempt was begun, as far as the queue knows. */
  again: boolean;
  /** How long the file is now. */
  fileBytes: number;
  /** null while only the end of its bytes will tell. */
  length: number | null;
  /** The offset alignment of direct writes: an attempt that died may have left the file longer by less. */
  grain: number;
  /** Where the bytes go whatever the file's end is; absent for an append. */
  fixedOffset?: number;
  answers: Answers;
}

/** One write into an open and locked file of which the rest stays as it is. */
export class Lengthening {
  /** Where its first byte goes. */
  readonly offset: number;
  /** How long the file is without what dead writes have left behind its end. */
  fileBytes: number;
  readonly #fd: number;
  readonly #path: string;
  readonly #record: AppendRecord;
  readonly #grain: number;
  /** Of this write; null where nothing is recorded. */
  #entry: Entry | null = null;
  /** Where the file is cut if the write fails; null where others' bytes stand behind its own, or it was done before. */
  #cutTo: number | null;
  /** Nothing stands behind what an earlier attempt has written, so that other bytes may take its place. */
  readonly #isReplaceable: boolean;

  /**
   * Decides where the bytes go, cuts off what nobody will finish, and records the write; the caller then extends the file.
   * @throws AnswerWanted where the queue has to be asked
   * @throws IoError where an earlier attempt may have appended already and nothing can tell; EBUSY where more writes are
   * unfinished than the file can keep; ESTALE where what an earlier attempt has written stands amid others' bytes, and
   * the source has more or fewer now
   */
  constructor(fd: number, path: string, o: LengtheningOrder) {
    this.#fd = fd;
    this.#path = path;
    this.#grain = o.grain;
    this.#record = readRecord(fd, path);
    this.fileBytes = o.fileBytes;
    const appends = o.fixedOffset === undefined;
    if (o.again && appends && !this.#record.isKept) throw untold(path);
    this.#forgetWhatWasCut();
    this.#cutDead(o);
    let own = this.#find(o.jobKey) ?? (appends ? this.#keptPlace(o) : null);
    if (own !== null && (own.state === GROWING || (o.length !== null && own.length !== o.length))) {
      own = this.#discard(own, appends);
    }
    this.fileBytes = this.#logicalEnd();
    this.offset = o.fixedOffset ?? own?.offset ?? this.fileBytes;
    this.#isReplaceable = own === null || this.#isAtEnd(own);
    if (own !== null) this.#cutTo = own.state === BEGUN && this.#isLast(own) ? own.before : null;
    else this.#cutTo = o.length === null || this.offset + o.length > this.fileBytes || appends ? this.fileBytes : null;
    if (own === null && this.#cutTo === null) return; // it overwrites what is there, and no more
    if (this.#record.isKept) this.#begin(own, o); // else an append works all the same: it is refused if it is tried again
  }

  /** True where a later attempt will find its place again. */
  get isRecorded(): boolean {
    return this.#entry !== null;
  }

  /** Its size is known now, before its first byte is written. @throws IoError ESTALE */
  settle(length: number | null): void {
    const entry = this.#entry;
    if (entry === null || (length === entry.length && entry.state !== GROWING)) return;
    if (entry.state !== GROWING) {
      // The source has other bytes than at the last attempt, or does not say how many.
      if (!this.#isReplaceable) throw changedAmid(this.#path, entry);
      this.#cut(entry.before);
      this.#cutTo = entry.before;
    }
    entry.state = length === null ? GROWING : BEGUN;
    entry.length = length ?? 0;
    this.#store();
  }

  /** The file is about to be extended to `end`, for a write whose size is not known. */
  grow(end: number): void {
    const entry = this.#entry;
    if (entry === null || entry.state !== GROWING || end <= endOfEntry(entry)) return;
    entry.length = end - entry.offset;
    this.#store();
  }

  /** All `length` bytes are written and the file has its size; they are not flushed yet, and the record neither. */
  finish(length: number): void {
    const entry = this.#entry;
    if (entry === null) return;
    // An overwrite has a fixed place, and what nobody tries again needs none.
    const isNeeded = entry.job !== NO_JOB && entry.before === entry.offset;
    if (isNeeded) {
      entry.length = length;
      entry.state = entry.state === AGAIN || entry.state === KEPT ? KEPT : DONE;
    } else {
      remove(this.#record.entries, entry);
    }
    // Left as it was begun it would be taken for what a dead write has left.
    this.#store();
  }

  /**
   * It failed: cuts its bytes off, if nothing stands behind them and no earlier attempt has said that they are all there.
   * Nothing may be in flight.
   */
  takeBack(beforeCut: () => void): void {
    if (this.#cutTo === null) return;
    beforeCut();
    if (cutFile(this.#fd, this.#cutTo) < 0 || this.#entry === null) return;
    remove(this.#record.entries, this.#entry);
    storeRecord(this.#fd, this.#record); // not stored, it is found to reach beyond the end of the file, and dropped
  }

  // ---------------------------------------------------------------------------------------------------- the record

  #find(jobKey: string): Entry | null {
    return this.#record.entries.find((entry) => entry.jobKey === jobKey) ?? null;
  }

  /** The write that the file ends with; of two with the same end the later one. */
  #lastEntry(): Entry | undefined {
    let last: Entry | undefined;
    for (const entry of this.#record.entries) {
      if (last === undefined || fileEndOf(entry) >= fileEndOf(last)) last = entry;
    }
    return last;
  }

  /** True if nothing stands behind it but the padding of its last row. */
  #isLast(entry: Entry): boolean {
    return this.#lastEntry() === entry && this.fileBytes - fileEndOf(entry) < this.#grain;
  }

  /** True if it may be cut off, in favour of other bytes of its own job: no job keeps its place. */
  #isAtEnd(entry: Entry): boolean {
    return (entry.state === BEGUN || entry.state === DONE) && this.#isLast(entry);
  }

  /** The end of the file, without padding that a write has left which died before it cut it off. */
  #logicalEnd(): number {
    const last = this.#lastEntry();
    const mayBePadded = last !== undefined && (last.state === BEGUN || last.state === AGAIN);
    // Behind any other range stand the bytes of a later append, however few they are.
    return mayBePadded && this.#isLast(last) ? Math.min(fileEndOf(last), this.fileBytes) : this.fileBytes;
  }

  /** A range that the file does not reach was never extended, or somebody has cut the file. */
  #forgetWhatWasCut(): void {
    const record = this.#record;
    const { fileBytes } = this;
    const isCut = (entry: Entry): boolean =>
      entry.state !== BEGUN && entry.state !== GROWING && endOfEntry(entry) > fileBytes;
    if (record.handedEnd > fileBytes || record.entries.some(isCut)) {
      // It may grow over the places again that jobs keep: by another name they mean another file.
      Object.assign(record, { fileId: newFileId(), newestMs: 0, handedEnd: 0 });
    }
    record.entries = record.entries.filter((entry) =>
      entry.state === GROWING ? entry.before < fileBytes : endOfEntry(entry) <= fileBytes,
    );
  }

  /** Cuts off what other writes have left that will not go on there. The lock is had, so none of them is at work. */
  #cutDead({ jobKey, answers, fixedOffset }: LengtheningOrder): void {
    const { entries } = this.#record;
    for (const entry of entries.toReversed()) {
      if (entry.jobKey === jobKey || (entry.job !== NO_JOB && entry.state !== GROWING)) continue;
      // What has no size goes on nowhere: its job begins anew, behind what is written from now on.
      if (this.#isDeadEnd(entry)) this.#cut(this.#livingEnd(entry));
      remove(entries, entry);
    }
    if (fixedOffset !== undefined) return;
    for (let last = this.#lastEntry(); last !== undefined; last = this.#lastEntry()) {
      if (last.jobKey === jobKey || last.state !== BEGUN || !this.#isLast(last)) return;
      const fate = answers.fates.get(lineOf(last));
      if (fate === undefined) throw this.#question([last], () => '');
      if (fate !== 'gone' && fate !== 'failed') return;
      this.#cut(last.before);
      remove(entries, last);
    }
  }

  /** True if it is unfinished and ends the file: what stands behind it another program has put there. */
  #isDeadEnd(entry: Entry): boolean {
    if (entry.state !== GROWING) return entry.state === BEGUN && this.#isLast(entry);
    return this.#lastEntry() === entry && this.fileBytes <= endOfEntry(entry) + this.#grain;
  }

  /** Where the file ends without what a dead write has left of itself. */
  #livingEnd({ job, state, offset, before }: Entry): number {
    if (job !== NO_JOB || state !== GROWING) return before;
    // Nobody brings the bytes of a stream again: what it has written stays, up to the first block that it has not.
    native.fdatasync(this.#fd); // or bytes that are in the page cache alone may pass for a hole
    const hole = native.lseek(this.#fd, offset, native.SEEK_HOLE);
    return Math.max(before, hole < 0 ? before : Math.min(hole, this.fileBytes));
  }

  #cut(end: number): void {
    if (end >= this.fileBytes) return;
    const result = cutFile(this.#fd, end);
    if (result < 0) throw new IoError({ syscall: 'ftruncate', errno: result, path: this.#path, length: end });
    this.fileBytes = end;
  }

  /** The place that the job itself keeps since the record was handed over to it; null where there is none. */
  #keptPlace({ jobKey, job, answers }: LengtheningOrder): Entry | null {
    const { newestMs, fileId } = this.#record;
    // One that was added later than each of those is not among them.
    if (job === NO_JOB || addedAtMs(job) > newestMs) return null;
    if (answers.own === undefined) throw new AnswerWanted(this.#path, { own: { job, jobKey }, entries: [] }, []);
    const range = answers.own === null ? null : rangeAt(answers.own, fileId);
    if (range === null || range.offset + range.length > this.fileBytes) return null;
    return { jobKey, ...range, state: AGAIN, job, before: range.offset };
  }

  /** What an earlier attempt has written will not do; null: this one begins anew. @throws IoError */
  #discard(own: Entry, appends: boolean): null {
    const isEnd = own.state === GROWING ? this.#isDeadEnd(own) : this.#isAtEnd(own);
    if (isEnd) this.#cut(own.before);
    else if (appends && own.state !== GROWING) throw changedAmid(this.#path, own);
    remove(this.#record.entries, own);
    return null;
  }

  /** Records the write, with `own` as what an earlier attempt of it has left. */
  #begin(own: Entry | null, { jobKey, job, length, answers }: LengtheningOrder): void {
    const { entries } = this.#record;
    if (own === null) {
      const { offset, fileBytes: before } = this;
      const state = length === null ? GROWING : BEGUN;
      this.#entry = { jobKey, offset, length: length ?? 0, state, job, before };
    } else {
      if (own.state !== BEGUN) own.state = AGAIN;
      this.#entry = own;
    }
    if (!entries.includes(this.#entry)) entries.push(this.#entry);
    // Outside any queue nobody can be asked, and one such entry at a time comes on top of the others.
    const mayAsk = job !== NO_JOB;
    if (mayAsk && isFull(this.#record, format(this.#record))) this.#makeRoom(answers);
    let stored = storeRecord(this.#fd, this.#record);
    const noRoom = stored === -ENOSPC || stored === -E2BIG || stored === -ERANGE;
    if (noRoom && mayAsk && this.#makeRoom(answers)) stored = storeRecord(this.#fd, this.#record);
    if (stored >= 0) return;
    if (stored !== -EOPNOTSUPP && mayAsk) throw new IoError({ syscall: 'fsetxattr', errno: stored, path: this.#path });
    this.#entry = null;
  }

  /** Drops the entries whose jobs cannot come again in need of them; false if there are none. @throws AnswerWanted, IoError */
  #makeRoom({ fates }: Answers): boolean {
    const record = this.#record;
    const others = record.entries.filter((entry) => entry !== this.#entry && entry.job !== NO_JOB);
    const unasked = others.filter((entry) => !fates.has(lineOf(entry)));
    if (unasked.length > 0) throw this.#question(unasked, (entry) => placeOf(record.fileId, entry));
    const fateOf = (entry: Entry): Fate | undefined => (entry === this.#entry ? undefined : fates.get(lineOf(entry)));
    const isOver = (fate: Fate | undefined): boolean => fate === 'gone' || fate === 'completed' || fate === 'failed';
    for (const entry of others) {
      const fate = fateOf(entry);
      if (!isOver(fate)) continue;
      remove(record.entries, entry);
      if (fate === 'gone') continue;
      record.newestMs = Math.max(record.newestMs, addedAtMs(entry.job));
      record.handedEnd = Math.max(record.handedEnd, endOfEntry(entry));
    }
    // Of another Redis, or from before entries named their jobs: those that were done go, the oldest first.
    for (const entry of others) {
      if (!isFull(record, format(record))) break;
      if (fateOf(entry) === 'unknown' && (entry.state === DONE || entry.state === KEPT)) remove(record.entries, entry);
    }
    if (isFull(record, format(record))) throw tooMany(this.#path, others.length);
    return others.some((entry) => !record.entries.includes(entry));
  }

  #question(entries: readonly Entry[], place: (entry: Entry) => string): AnswerWanted {
    const asked = entries.map((entry) => ({ job: entry.job, jobKey: entry.jobKey, place: place(entry) }));
    return new AnswerWanted(this.#path, { own: null, entries: asked }, entries.map(lineOf));
  }

  #store(): void {
    const stored = storeRecord(this.#fd, this.#record);
    if (stored < 0) throw new IoError({ syscall: 'fsetxattr', errno: stored, path: this.#path });
  }
}

/** Of a job that is not tried again: cuts off what an attempt of it has left at the end of the open and locked file. */
export function cutOffEarlier(
  fd: number,
  path: string,
  jobKey: string,
  fileBytes: number,
  beforeCut: () => void,
): void {
  const record = readRecord(fd, path);
  const own = record.entries.find((entry) => entry.jobKey === jobKey);
  const isOpen = own !== undefined && (own.state === BEGUN || own.state === GROWING);
  if (!isOpen || record.entries.some((entry) => entry !== own && fileEndOf(entry) >= fileEndOf(own))) return;
  // Bytes behind it are those of another program, but for the padding of a last row.
  if (fileBytes >= fileEndOf(own) + BLOCK_BYTES_MAX || own.before > fileBytes) return;
  beforeCut();
  if (cutFile(fd, own.before) < 0) return;
  remove(record.entries, own);
  storeRecord(fd, record);
}

/** The whole file gets other bytes: what was appended to it before is there no longer. */
export function forgetAppends(fd: number): void {
  native.fremovexattr(fd, APPENDS_ATTRIBUTE);
}

/** Where the file ends by this write alone: an overwrite may end before the file did. */
const fileEndOf = (entry: Entry): number => Math.max(endOfEntry(entry), entry.before);

function remove(entries: Entry[], entry: Entry): void {
  const index = entries.indexOf(entry);
  if (index !== -1) entries.splice(index, 1);
}

function untold(path: string): IoError {
  const hint = 'An earlier attempt may have appended already, and this file system keeps no attribute that would tell.';
  return new IoError({ syscall: 'fgetxattr', errno: -EOPNOTSUPP, path, hint });
}

function changedAmid(path: string, { offset, length }: Entry): IoError {
  const hint =
    `An earlier attempt has appended ${length} bytes at ${offset}, which others cannot replace any more, and its source ` +
    `now has another length, or tells none. Add a new job to append what it has.`;
  return new IoError({ syscall: 'pwrite', errno: -ESTALE, path, offset, length, hint });
}

function tooMany(path: string, count: number): IoError {
  const hint =
    `Attribute ${APPENDS_ATTRIBUTE} is full: ${count} appends to this file are not finished, and their jobs may come ` +
    `again. Let these jobs end, or remove them.`;
  return new IoError({ syscall: 'fsetxattr', errno: -EBUSY, path, hint });
}
