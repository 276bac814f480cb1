/**
 * The host's own directory of records of partial files, in its data directory: `parts/<name of the host>/`, with the
 * places of the attempts that run and the list of what was left for later ones (libs/sink, part-records.ts).
 *
 * Its lock is held for the process's life. What a process has left that is gone, of whatever name, is taken over by the
 * next host that starts with this data directory.
 */
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { native } from '@penstock/aio';
import { type PartFiles, type PartRecord, recordsIn, recordsInPlaces, textOfRecords } from '@penstock/sink';

const PLACES = 'places';
const KEPT = 'kept';

export class PartRecordFiles {
  readonly files: PartFiles;
  /** What processes that are gone have left, most of it long since published. */
  readonly inherited: readonly PartRecord[];
  readonly #directory: string;

  /** @throws what the file system says where the data directory cannot be had */
  constructor(dataDirectory: string, host: string) {
    const folder = join(dataDirectory, 'parts');
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    let directory = join(folder, host);
    let places = openLocked(directory);
    if (places === null) {
      // Another process of this name lives: it is told of elsewhere (libs/queue, host-registry.ts).
      directory = join(folder, `${host}~${process.pid}`);
      places = openLocked(directory);
    }
    if (places === null) throw new Error(`${directory} is locked by another process`);
    const records = [...recordsInPlaces(places), ...keptIn(directory), ...takeOver(folder, directory)];
    writeFileSync(join(directory, `${KEPT}.new`), textOfRecords(records), { mode: 0o600 });
    renameSync(join(directory, `${KEPT}.new`), join(directory, KEPT));
    ftruncateSync(places);
    this.inherited = records;
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
    writeFileSync(join(this.#directory, `${KEPT}.new`), textOfRecords(records), { mode: 0o600 });
    renameSync(join(this.#directory, `${KEPT}.new`), join(this.#directory, KEPT));
    ftruncateSync(this.files.places);
    closeSync(this.files.kept);
    if (records.length === 0) rmSync(this.#directory, { recursive: true, force: true });
    closeSync(this.files.places);
  }
}

/** The places of `directory`, which is made where it is missing; null where another process has them. */
function openLocked(directory: string): number | null {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const fd = openSync(join(directory, PLACES), 'a+', 0o600);
  closeSync(fd);
  const places = openSync(join(directory, PLACES), 'r+');
  const result = native.lockFile(places);
  if (result === 0 || !isHeld(result)) return places; // a file system without locks has none to take
  closeSync(places);
  return null;
}

const isHeld = (errno: number): boolean => errno === -11 || errno === -13; // EAGAIN, EACCES

function keptIn(directory: string): PartRecord[] {
  try {
    return recordsIn(readFileSync(join(directory, KEPT)));
  } catch {
    return []; // there is none yet
  }
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
    rmSync(directory, { recursive: true, force: true });
    closeSync(places);
  }
  return records;
}
