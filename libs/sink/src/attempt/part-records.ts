/**
 * Which partial files a host may have left, known without a look at its roots: a place for each attempt that runs, and a
 * list of what was left for a later attempt.
 *
 * A place is written before the part is made, and only written over: it holds until another attempt has it, and whoever
 * reads it asks the disk whether that file is still there. So a file costs one pwrite of some 150 bytes into the page
 * cache, which survives a killed process; nothing is flushed, and a power cut may lose the newest ones.
 *
 * In both files a record is five texts, each begun by '=' and ended by a NUL, and a further NUL ends it. No path has one.
 */
import { fstatSync, readSync, writeSync } from 'node:fs';
import { native } from '@penstock/native';
import type { Root } from '@penstock/disk';
import { splitPath } from './parts.ts';

/** A partial file, and whose it is. */
export interface PartRecord {
  /** The job, as its queue knows it. */
  job: string;
  root: string;
  /** The root's absolute path: another root may have its name by now. */
  rootPath: string;
  /** Inside the root; '' is the root itself. */
  directory: string;
  name: string;
}

/** Room for any record: of its paths none is longer than 4096 bytes. Hardly any of it is ever touched. */
const PLACE_BYTES = 16_384;

/** The two files of a host, opened by its main thread. */
export interface PartFiles {
  /** A place every PLACE_BYTES. */
  places: number;
  /** Opened for appending. */
  kept: number;
}

type PartRoot = Pick<Root, 'name' | 'path'>;

const encode = ({ job, root, rootPath, directory, name }: PartRecord): string =>
  `=${[job, root, rootPath, directory, name].join('\0=')}\0\0`;

const recordOf = (job: string, root: PartRoot, path: string, name: string): PartRecord => ({
  job,
  root: root.name,
  rootPath: root.path,
  directory: splitPath(path).directory,
  name,
});

/** One thread's side: what it is about to make, and what it leaves. */
export class PartRecords {
  readonly #files: PartFiles;
  readonly #text = Buffer.from(new ArrayBuffer(PLACE_BYTES));
  readonly #address: number;

  constructor(files: PartFiles) {
    this.#files = files;
    this.#address = native.addressOf(this.#text);
  }

  /** The attempt that has this place makes the partial file `name` of `path` next. A failed pwrite is not reported. */
  note(place: number, job: string, root: PartRoot, path: string, name: string): void {
    const length = this.#text.write(encode(recordOf(job, root, path, name)));
    if (length < PLACE_BYTES) native.pwrite(this.#files.places, this.#address, length, place * PLACE_BYTES);
  }

  /** The attempt leaves it for a later one. */
  keep(job: string, root: PartRoot, path: string, name: string): void {
    writeSync(this.#files.kept, encode(recordOf(job, root, path, name)));
  }
}

/** The records in `bytes`, of one place or of a whole list; what was cut off is none. */
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

/** The record of each place of the open file: what stands behind it is left of a longer one. */
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

/** The text of a list. */
export const textOfRecords = (records: readonly PartRecord[]): string => records.map(encode).join('');
