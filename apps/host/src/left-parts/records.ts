/**
 * The host's own directory of records of partial files, in its data directory: `parts/<name of the host>/`, with the
 * places of the attempts that run and the list of what was left for later ones (libs/sink, attempt/part-records.ts).
 *
 * Its lock is held for the process's life. What a dead process has left, of whatever name, is taken over by the next host
 * that starts with this data directory.
 */
import {
  closeSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type PartFiles, type PartRecord, recordsIn, recordsInPlaces, textOfRecords, tryLock } from '@penstock/sink';

const PLACES = 'places';
const KEPT = 'kept';
/** More than there are processes that begin or end at one moment. */
const TRIES_MAX = 1000;

export class PartRecordFiles {
  readonly files: PartFiles;
  readonly #directory: string;

  /** @throws the error of the file system if the data directory cannot be used */
  constructor(dataDirectory: string, host: string) {
    const folder = join(dataDirectory, 'parts');
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    let directory = join(folder, host);
    let places = openLocked(directory);
    // Another process of this name lives (libs/queue, host-registry.ts, reports it), or one that has just started took
    // this for the directory of a dead process.
    for (let tries = 1; places === null; tries += 1) {
      if (tries > TRIES_MAX) throw new Error(`${directory} is locked by another process`);
      directory = join(folder, `${host}~${process.pid}${tries === 1 ? '' : `~${tries}`}`);
      places = openLocked(directory);
    }
    const records = [...recordsInPlaces(places), ...keptIn(directory), ...takeOver(folder, directory)];
    keep(directory, records);
    ftruncateSync(places);
    this.files = { places, kept: openSync(join(directory, KEPT), 'a', 0o600) };
    this.#directory = directory;
  }

  /** All that was left and not seen to be gone, and what this process's writes left meanwhile. */
  kept(): PartRecord[] {
    return keptIn(this.#directory);
  }

  /** After the last write: none runs any more, so nothing is left but what is kept. `gone` is not kept any longer. */
  close(gone: (record: PartRecord) => boolean): void {
    const records = this.kept().filter((record) => !gone(record));
    keep(this.#directory, records);
    ftruncateSync(this.files.places);
    closeSync(this.files.kept);
    if (records.length === 0) removeRecords(this.#directory);
    closeSync(this.files.places);
  }
}

/** The places of `directory`, which is made if it is missing; null if another process has them. */
function openLocked(directory: string): number | null {
  for (let tries = 0; tries < TRIES_MAX; tries += 1) {
    const places = openPlaces(directory);
    if (places === null) continue;
    if (!tryLock(places)) {
      closeSync(places);
      return null;
    }
    if (isStillThere(places, directory)) return places;
    closeSync(places);
  }
  return null;
}

/** Null if another process has removed the directory meanwhile. */
function openPlaces(directory: string): number | null {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    closeSync(openSync(join(directory, PLACES), 'a+', 0o600));
    return openSync(join(directory, PLACES), 'r+');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  }
}

/** False if the process that had them removed them before it let go of their lock. */
function isStillThere(places: number, directory: string): boolean {
  const named = statSync(join(directory, PLACES), { throwIfNoEntry: false });
  return named !== undefined && named.ino === fstatSync(places).ino;
}

/** Removes a directory of records; a process that begins in it at this moment keeps it. */
function removeRecords(directory: string): void {
  try {
    rmSync(directory, { recursive: true, force: true });
  } catch (error) {
    if (codeOf(error) !== 'ENOTEMPTY') throw error;
  }
}

const codeOf = (error: unknown): unknown => (error as { code?: unknown }).code;

function keptIn(directory: string): PartRecord[] {
  try {
    return recordsIn(readFileSync(join(directory, KEPT)));
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return []; // there is none yet
    throw error;
  }
}

/** Replaces what is kept in `directory` as a whole. */
function keep(directory: string, records: readonly PartRecord[]): void {
  writeFileSync(join(directory, `${KEPT}.new`), textOfRecords(records), { mode: 0o600 });
  renameSync(join(directory, `${KEPT}.new`), join(directory, KEPT));
}

/** What processes have left that are gone, from their directories, which go. */
function takeOver(folder: string, own: string): PartRecord[] {
  const records: PartRecord[] = [];
  for (const name of readdirSync(folder)) {
    const directory = join(folder, name);
    if (directory === own) continue;
    const places = openLocked(directory);
    if (places === null) continue;
    records.push(...recordsInPlaces(places), ...keptIn(directory));
    removeRecords(directory);
    closeSync(places);
  }
  return records;
}
