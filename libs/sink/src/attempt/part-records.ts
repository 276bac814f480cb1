/**
 * Records of the partial files that a host may have left, so that its roots need not be searched for them: one place for
 * each running attempt, and a list of those that were left for a later attempt.
 *
 * A place is written before the partial file is made, and never cleared: it is valid until another attempt writes over it,
 * and its reader checks on the disk whether that file still exists. So a file costs one pwrite of some 150 bytes into the
 * page cache, which survives a killed process. Nothing is flushed: a power cut may lose the newest records.
 *
 * In both files a record is five texts, each with '=' before it and a NUL behind it, and one more NUL ends the record. No
 * path contains a NUL.
 */
import { fstatSync, readSync, writeSync } from 'node:fs';
import { native } from '@penstock/native';
import type { Root } from '@penstock/disk';
import { splitPath } from './parts.ts';

/** A partial file, and the job that it is of. */
export interface PartRecord {
  /** The job, by its name in the queue. */
  job: string;
  root: string;
  /** The root's absolute path: by now another root may have the same name. */
  rootPath: string;
  /** The directory inside the root; '' is the root itself. */
  directory: string;
  name: string;
}

/** Room for any record, since no path is longer than 4096 bytes. Only its first bytes take up disk space. */
const PLACE_BYTES = 16_384;

/** The two files of a host, opened by its main thread. */
export interface PartFiles {
  /** Has a place every PLACE_BYTES. */
  places: number;
  /** The list; opened for appending. */
  kept: number;
}

type PartRoot = Pick<Root, 'name' | 'path'>;

const encode = ({ job, root, rootPath, directory, name }: PartRecord): string =>
  `=${job}\0=${root}\0=${rootPath}\0=${directory}\0=${name}\0\0`;

const recordOf = (job: string, root: PartRoot, path: string, name: string): PartRecord => ({
  job,
  root: root.name,
  rootPath: root.path,
  directory: splitPath(path).directory,
  name,
});

/** What one writer thread records. */
export class PartRecords {
  readonly #files: PartFiles;
  readonly #text = Buffer.from(new ArrayBuffer(PLACE_BYTES));
  readonly #address: number;

  constructor(files: PartFiles) {
    this.#files = files;
    this.#address = native.addressOf(this.#text);
  }

  /** The attempt that has `place` will make the partial file `name` of `path` next. A failed pwrite is not reported. */
  note(place: number, job: string, root: PartRoot, path: string, name: string): void {
    const length = this.#text.write(encode(recordOf(job, root, path, name)));
    if (length < PLACE_BYTES) native.pwrite(this.#files.places, this.#address, length, place * PLACE_BYTES);
  }

  /** An attempt leaves its partial file for a later one. */
  keep(job: string, root: PartRoot, path: string, name: string): void {
    writeSync(this.#files.kept, encode(recordOf(job, root, path, name)));
  }
}

/** The records in `bytes`, which are one place or a whole list; a record that is cut off does not count. */
export function recordsIn(bytes: Buffer): PartRecord[] {
  const records: PartRecord[] = [];
  for (let at = 0; ;) {
    const end = bytes.indexOf('\0\0', at, 'latin1');
    if (end === -1) return records;
    const fields = bytes.toString('utf8', at, end).split('\0');
    if (fields.length !== 5 || !fields.every((field) => field.startsWith('='))) return records;
    const [job, root, rootPath, directory, name] = fields.map((field) => field.slice(1)) as [
      string,
      string,
      string,
      string,
      string,
    ];
    records.push({ job, root, rootPath, directory, name });
    at = end + 2;
  }
}

/** The record in each place of the open file. What stands behind it in a place is the rest of an older, longer one. */
export function recordsInPlaces(fd: number): PartRecord[] {
  const records: PartRecord[] = [];
  const place = Buffer.alloc(PLACE_BYTES);
  const { size } = fstatSync(fd);
  for (let at = 0; at < size; at += PLACE_BYTES) {
    if (readSync(fd, place, 0, 1, at) === 0 || place[0] === 0) continue; // most were never written
    const length = readSync(fd, place, 0, PLACE_BYTES, at);
    const end = place.subarray(0, length).indexOf('\0\0', 0, 'latin1');
    if (end !== -1) records.push(...recordsIn(place.subarray(0, end + 2)));
  }
  return records;
}

/** The text of a list with these records. */
export const textOfRecords = (records: readonly PartRecord[]): string => records.map(encode).join('');
