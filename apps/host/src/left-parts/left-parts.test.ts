import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { native } from '@penstock/native';
import type { PartOwner } from '@penstock/queue';
import { type PartRecord, textOfRecords } from '@penstock/sink';
import { LeftParts } from './left-parts.ts';

let home: string;
let root: string;
let notes: string[];
let errors: unknown[];
/** By job. */
let owners: Record<string, PartOwner>;
/** How often it was asked whether all disks answer, and what each answer is. */
let asked: number;
let answers: boolean;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'penstock-parts-'));
  root = join(home, 'root');
  mkdirSync(join(root, 'dir'), { recursive: true });
  notes = [];
  errors = [];
  owners = {};
  asked = 0;
  answers = true;
});
afterEach(() => {
  rmSync(home, { recursive: true, force: true });
  expect(errors).toEqual([]);
});

const open = (everyMs = 20): LeftParts =>
  new LeftParts({
    dataDirectory: home,
    host: 'disk-1',
    roots: [{ name: 'data', path: root, writable: true }],
    judge: async (jobs) => jobs.map((job) => owners[job] ?? 'over'),
    mayStart: () => {
      asked += 1;
      return answers;
    },
    onRemoved: (note) => notes.push(note),
    onError: (error) => errors.push(error),
    firstMs: 1,
    everyMs,
  });

/** A partial file that `job` has left, and its record. */
function left(job: string, directory = 'dir'): PartRecord {
  const name = `.penstock-${job}-1.part`;
  writeFileSync(join(root, directory, name), 'left');
  return { job, root: 'data', rootPath: root, directory, name };
}

const parts = (): string[] =>
  [...readdirSync(root), ...readdirSync(join(root, 'dir'))].filter((name) => name.endsWith('.part')).toSorted();

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await setTimeout(5);
}

test('what a later attempt elsewhere was left to goes once the queue says that it is over, and what is open stays', async () => {
  owners = { open: 'open', other: 'unknown' };
  const parted = open();
  for (const job of ['over', 'open', 'other']) writeSync(parted.files.kept, textOfRecords([left(job)]));
  await until(() => parts().length === 2);
  expect(parts()).toEqual(['.penstock-open-1.part', '.penstock-other-1.part']);
  owners['open'] = 'over';
  await until(() => parts().length === 1);
  await until(() => notes.length === 2);
  expect(notes[0]).toBe(
    `removed a partial file (4 B) on root data that no job goes on with: ${join(root, 'dir/.penstock-over-1.part')}`,
  );
  parted.close();
});

test('what a killed host has left, in whatever name it ran, is found by the next host of its data directory', async () => {
  const folder = join(home, 'parts/killed');
  mkdirSync(folder, { recursive: true });
  const places = openSync(join(folder, 'places'), 'w');
  writeSync(places, textOfRecords([left('first', '')]), 0);
  writeSync(places, `${textOfRecords([left('second')])}rest of a longer one\0\0`, 40 * 16_384);
  writeSync(places, '=cut off', 41 * 16_384);
  closeSync(places);
  writeFileSync(join(folder, 'kept'), `${textOfRecords([left('third')])}=cut`);
  expect(parts()).toHaveLength(3);
  const parted = open();
  await until(() => parts().length === 0 && notes.length === 1);
  parted.close();
  expect(readdirSync(join(home, 'parts'))).toEqual([]);
});

test('no process is started while a disk does not answer, and what is left goes once it does', async () => {
  answers = false;
  const parted = open();
  writeSync(parted.files.kept, textOfRecords([left('over')]));
  await until(() => asked > 3);
  expect(parts()).toHaveLength(1);
  answers = true;
  await until(() => parts().length === 0 && notes.length === 1);
  parted.close();
});

test('without descriptors for a remover the host reports EMFILE and lives, and what was left goes at a later look', async () => {
  const program = fileURLToPath(new URL('starved.fixture.mjs', import.meta.url));
  const starve = ['-c', 'ulimit -n 200; exec "$0" "$@"', process.execPath, program];
  const args = [home, root, JSON.stringify(left('over'))];
  const { stdout } = await promisify(execFile)('sh', [...starve, ...args], { timeout: 60_000 });
  expect(JSON.parse(stdout)).toEqual({ errors: ['EMFILE'], removed: expect.stringMatching(/^removed a partial file/) });
  expect(parts()).toEqual([]);
}, 90_000);

test('a partial file that is locked stays: whoever writes it lives', async () => {
  const record = left('alive');
  const fd = openSync(join(root, 'dir', record.name), 'r+');
  native.lockFile(fd);
  const parted = open();
  writeSync(parted.files.kept, textOfRecords([record]));
  await setTimeout(400); // in which it is looked at more than once
  expect(parts()).toHaveLength(1);
  closeSync(fd);
  await until(() => parts().length === 0);
  parted.close();
});

test('what is still open when a host ends is known to the next', async () => {
  owners = { open: 'open' };
  const first = open();
  writeSync(first.files.kept, textOfRecords([left('open')]));
  first.close();
  owners = {};
  const second = open();
  await until(() => parts().length === 0);
  second.close();
  expect(parts()).toEqual([]);
});

test('of two processes of one name each has its own records', () => {
  const [first, second] = [open(), open()];
  expect(readdirSync(join(home, 'parts')).toSorted()).toEqual(['disk-1', `disk-1~${process.pid}`]);
  second.close();
  first.close();
  expect(existsSync(join(home, 'parts'))).toBe(true);
  expect(readdirSync(join(home, 'parts'))).toEqual([]);
});

test('processes of one name that begin and end at the same moments each have their records', async () => {
  const program = fileURLToPath(new URL('records.fixture.mjs', import.meta.url));
  const ends = Array.from({ length: 3 }, async () => {
    const child = spawn(process.execPath, [program, home, '150'], { stdio: ['ignore', 'ignore', 'pipe'] });
    const [said, [code]] = await Promise.all([text(child.stderr), once(child, 'exit')]);
    return { code: code as unknown, said };
  });
  expect(await Promise.all(ends)).toEqual(ends.map(() => ({ code: 0, said: '' })));
  expect(readdirSync(join(home, 'parts'))).toEqual([]);
}, 60_000);
