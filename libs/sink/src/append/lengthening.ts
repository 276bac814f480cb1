/**
 * Writes that lengthen a file: decides where each begins, and where the file ends without what a dead write has left.
 *
 * A job runs at least once, and may be retried by hand long after it has ended; its bytes must be in the file once. So each
 * of these writes is recorded with the file (record.ts), under the file's lock: first the record is stored, then the
 * file is extended over the whole range, then the range is written. An attempt that finds an entry of its job writes the
 * same bytes to the same place, whatever the queue knows about earlier attempts.
 *
 * An entry is dropped only if its job will not need it again: the job is gone, or it has ended and keeps the place of its
 * bytes itself. Only the queue knows that. It is asked if the record is full (record-room.ts), if the last range was begun and
 * never done, or if the job is old enough to be one of those that keep their place (inquiry.ts).
 */
import { constants } from 'node:os';
import { IoError } from '@penstock/contract';
import { native } from '@penstock/native';
import { cutFile, cutFileOrThrow } from '../device/freed-blocks.ts';
import { type Answers, AnswerWanted } from './inquiry.ts';
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
  isFull,
  lineOf,
  newFileId,
  rangeAt,
  readRecord,
  removeEntry,
  storeRecord,
} from './record.ts';
import { makeRoom, questionAbout } from './record-room.ts';
import { BLOCK_BYTES_MAX } from '@penstock/disk';

const { E2BIG, ENOSPC, EOPNOTSUPP, ERANGE, ESTALE } = constants.errno;

/** What is known of a write that lengthens a file. */
export interface LengtheningOrder {
  jobKey: string;
  /** As in the record: NO_JOB for a write that is never retried. */
  job: string;
  /** True if an earlier attempt was begun, as far as the queue knows. */
  again: boolean;
  /** The size of the file now. */
  fileBytes: number;
  /** How many bytes it writes; null if that is known only at their end. */
  length: number | null;
  /** The offset alignment of direct writes: an attempt that died may have left the file longer, by less than this. */
  grain: number;
  /** Where the bytes go for an overwrite; absent for an append. */
  fixedOffset?: number;
  answers: Answers;
}

/** One write into an open and locked file whose other bytes stay. */
export class Lengthening {
  /** The file offset of its first byte. */
  readonly offset: number;
  /** Where the file ends without what dead writes have left at its end. */
  fileBytes: number;
  readonly #fd: number;
  readonly #path: string;
  readonly #record: AppendRecord;
  readonly #grain: number;
  /** The entry of this write; null if nothing is recorded. */
  #entry: Entry | null = null;
  /** Where the file is cut if the write fails; null if other bytes stand behind its own, or it was done before. */
  #cutTo: number | null;
  /** True if nothing stands behind what an earlier attempt has written: other bytes may take its place. */
  readonly #isReplaceable: boolean;

  /**
   * Decides where the bytes go, cuts off what will not be finished, and records the write; the caller then extends the file.
   * @throws AnswerWanted if the queue has to be asked
   * @throws IoError EOPNOTSUPP if an earlier attempt may have appended and the file system keeps no record of that; EBUSY if
   * more writes are unfinished than the file can record; ESTALE if an earlier attempt's bytes stand amid others, and the
   * source has more or fewer by now
   */
  constructor(fd: number, path: string, o: LengtheningOrder) {
    this.#fd = fd;
    this.#path = path;
    this.#grain = o.grain;
    this.#record = readRecord(fd, path);
    this.fileBytes = o.fileBytes;
    const appends = o.fixedOffset === undefined;
    if (o.again && appends && !this.#record.isKept) throw notRecorded(path);
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
    if (own === null && this.#cutTo === null) return; // it only overwrites, and does not lengthen the file
    if (this.#record.isKept) this.#begin(own, o); // else it is appended without a record, and a second attempt is refused
  }

  /** True if a later attempt will find its place again. */
  get isRecorded(): boolean {
    return this.#entry !== null;
  }

  /** Its size is known now (null: still not), before its first byte is written. @throws IoError ESTALE as the constructor */
  fixLength(length: number | null): void {
    const entry = this.#entry;
    if (entry === null || (length === entry.length && entry.state !== GROWING)) return;
    if (entry.state !== GROWING) {
      // The source has another size than at the last attempt, or reports none.
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

  /** All `length` bytes are written and the file has its size; neither they nor the record are flushed yet. */
  finish(length: number): void {
    const entry = this.#entry;
    if (entry === null) return;
    // An overwrite has a fixed place, and a write that is never retried needs none.
    const isNeeded = entry.job !== NO_JOB && entry.before === entry.offset;
    if (isNeeded) {
      entry.length = length;
      entry.state = entry.state === AGAIN || entry.state === KEPT ? KEPT : DONE;
    } else {
      removeEntry(this.#record.entries, entry);
    }
    // With the entry as it was begun, the bytes would be taken for those of a dead write.
    this.#store();
  }

  /**
   * The write has failed: cuts its bytes off, if nothing stands behind them and no earlier attempt has reported them as done.
   * Nothing may be in flight.
   */
  takeBack(beforeCut: () => void): void {
    if (this.#cutTo === null) return;
    beforeCut();
    if (cutFile(this.#fd, this.#cutTo) < 0 || this.#entry === null) return;
    removeEntry(this.#record.entries, this.#entry);
    storeRecord(this.#fd, this.#record); // if that fails, the entry reaches beyond the end of the file and is dropped later
  }

  #find(jobKey: string): Entry | null {
    return this.#record.entries.find((entry) => entry.jobKey === jobKey) ?? null;
  }

  /** The entry that the file ends with; of two with the same end the later one. */
  #lastEntry(): Entry | undefined {
    let last: Entry | undefined;
    for (const entry of this.#record.entries) {
      if (last === undefined || fileEndOf(entry) >= fileEndOf(last)) last = entry;
    }
    return last;
  }

  /** True if nothing stands behind the entry's bytes but the padding of its last row. */
  #isLast(entry: Entry): boolean {
    return this.#lastEntry() === entry && this.fileBytes - fileEndOf(entry) < this.#grain;
  }

  /** True if its bytes may be cut off and replaced by others of the same job. */
  #isAtEnd(entry: Entry): boolean {
    return (entry.state === BEGUN || entry.state === DONE) && this.#isLast(entry);
  }

  /** The end of the file, without padding that a dead write has left. */
  #logicalEnd(): number {
    const last = this.#lastEntry();
    const mayBePadded = last !== undefined && (last.state === BEGUN || last.state === AGAIN);
    // What stands behind an entry in another state are bytes of a later append, however few.
    return mayBePadded && this.#isLast(last) ? Math.min(fileEndOf(last), this.fileBytes) : this.fileBytes;
  }

  /** Drops entries beyond the end of the file: it was never extended that far, or another program has cut it. */
  #forgetWhatWasCut(): void {
    const record = this.#record;
    const { fileBytes } = this;
    const isCut = (entry: Entry): boolean =>
      entry.state !== BEGUN && entry.state !== GROWING && endOfEntry(entry) > fileBytes;
    if (record.handedEnd > fileBytes || record.entries.some(isCut)) {
      // The file may grow over places that jobs keep: with a new id these places no longer mean this file.
      Object.assign(record, { fileId: newFileId(), newestMs: 0, handedEnd: 0 });
    }
    record.entries = record.entries.filter((entry) =>
      entry.state === GROWING ? entry.before < fileBytes : endOfEntry(entry) <= fileBytes,
    );
  }

  /** Cuts off what other writes have left that will not be continued. This write has the lock, so none of them is at work. */
  #cutDead({ jobKey, answers, fixedOffset }: LengtheningOrder): void {
    const { entries } = this.#record;
    for (const entry of entries.toReversed()) {
      if (entry.jobKey === jobKey || (entry.job !== NO_JOB && entry.state !== GROWING)) continue;
      // Without a known size a write is not continued: its job begins anew, behind what is written from now on.
      if (this.#isDeadEnd(entry)) this.#cut(this.#livingEnd(entry));
      removeEntry(entries, entry);
    }
    if (fixedOffset !== undefined) return;
    for (let last = this.#lastEntry(); last !== undefined; last = this.#lastEntry()) {
      if (last.jobKey === jobKey || last.state !== BEGUN || !this.#isLast(last)) return;
      const fate = answers.fates.get(lineOf(last));
      if (fate === undefined) throw questionAbout(this.#path, [last], () => '');
      if (fate !== 'gone' && fate !== 'failed') return;
      this.#cut(last.before);
      removeEntry(entries, last);
    }
  }

  /** True if the entry is unfinished and ends the file; bytes behind it would be another program's. */
  #isDeadEnd(entry: Entry): boolean {
    if (entry.state !== GROWING) return entry.state === BEGUN && this.#isLast(entry);
    return this.#lastEntry() === entry && this.fileBytes <= endOfEntry(entry) + this.#grain;
  }

  /** Where the file ends without the bytes of a dead write. */
  #livingEnd({ job, state, offset, before }: Entry): number {
    if (job !== NO_JOB || state !== GROWING) return before;
    // The bytes of a stream cannot be had again: what it has written stays, up to the first block that is not written.
    native.fdatasync(this.#fd); // else bytes that are only in the page cache may appear as a hole
    const hole = native.lseek(this.#fd, offset, native.SEEK_HOLE);
    return Math.max(before, hole < 0 ? before : Math.min(hole, this.fileBytes));
  }

  #cut(end: number): void {
    if (end >= this.fileBytes) return;
    cutFileOrThrow(this.#fd, this.#path, end);
    this.fileBytes = end;
  }

  /** The place that the job itself keeps, if its entry was handed over to it; null if it keeps none. */
  #keptPlace({ jobKey, job, answers }: LengtheningOrder): Entry | null {
    const { newestMs, fileId } = this.#record;
    // A job that was added later than the newest job that keeps a place is not one of those.
    if (job === NO_JOB || addedAtMs(job) > newestMs) return null;
    if (answers.own === undefined) throw new AnswerWanted(this.#path, { own: { job, jobKey }, entries: [] }, []);
    const range = answers.own === null ? null : rangeAt(answers.own, fileId);
    if (range === null || range.offset + range.length > this.fileBytes) return null;
    return { jobKey, ...range, state: AGAIN, job, before: range.offset };
  }

  /** Drops what an earlier attempt has written, since this one writes another length: it begins anew. @throws IoError */
  #discard(own: Entry, appends: boolean): null {
    const isEnd = own.state === GROWING ? this.#isDeadEnd(own) : this.#isAtEnd(own);
    if (isEnd) this.#cut(own.before);
    else if (appends && own.state !== GROWING) throw changedAmid(this.#path, own);
    removeEntry(this.#record.entries, own);
    return null;
  }

  /** Records the write; `own` is the entry of an earlier attempt, if there is one. */
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
    // A write outside any queue cannot ask; its entry may come on top of the others, one at a time.
    const mayAsk = job !== NO_JOB;
    if (mayAsk && isFull(this.#record)) makeRoom(this.#path, this.#record, this.#entry, answers);
    let stored = storeRecord(this.#fd, this.#record);
    const noRoom = stored === -ENOSPC || stored === -E2BIG || stored === -ERANGE;
    if (noRoom && mayAsk && makeRoom(this.#path, this.#record, this.#entry, answers))
      stored = storeRecord(this.#fd, this.#record);
    if (stored >= 0) return;
    if (stored !== -EOPNOTSUPP && mayAsk) throw new IoError({ syscall: 'fsetxattr', errno: stored, path: this.#path });
    this.#entry = null;
  }

  #store(): void {
    const stored = storeRecord(this.#fd, this.#record);
    if (stored < 0) throw new IoError({ syscall: 'fsetxattr', errno: stored, path: this.#path });
  }
}

/** Cuts off what the attempts of a job that is not retried have left at the end of an open and locked file. */
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
  // Bytes behind it are another program's, unless they are few enough to be the padding of a last row.
  if (fileBytes >= fileEndOf(own) + BLOCK_BYTES_MAX || own.before > fileBytes) return;
  beforeCut();
  if (cutFile(fd, own.before) < 0) return;
  removeEntry(record.entries, own);
  storeRecord(fd, record);
}

/** Removes the record, since the whole file gets other bytes. */
export function forgetAppends(fd: number): void {
  native.fremovexattr(fd, APPENDS_ATTRIBUTE);
}

/** Where this write makes the file end: an overwrite may end before the file did. */
const fileEndOf = (entry: Entry): number => Math.max(endOfEntry(entry), entry.before);

function notRecorded(path: string): IoError {
  const hint = 'An earlier attempt may have appended already, and this file system keeps no attribute that would tell.';
  return new IoError({ syscall: 'fgetxattr', errno: -EOPNOTSUPP, path, hint });
}

function changedAmid(path: string, { offset, length }: Entry): IoError {
  const hint =
    `An earlier attempt has appended ${length} bytes at ${offset}, which others cannot replace any more, and its source ` +
    `now has another length, or tells none. Add a new job to append what it has.`;
  return new IoError({ syscall: 'pwrite', errno: -ESTALE, path, offset, length, hint });
}
