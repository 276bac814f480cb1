import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { type RootConfig, deviceOf } from '@penstock/disk';
import * as defaults from '../settings/defaults.ts';
import { profileOf } from './profile.fixture.ts';
import { writeProfile } from './profile.ts';
import { tuneHost } from './tuning.ts';

const scratch = fileURLToPath(new URL('../../../.cache/scratch/', import.meta.url));
let home: string;
let data: RootConfig;
let fast: RootConfig;

beforeEach(() => {
  mkdirSync(scratch, { recursive: true });
  home = mkdtempSync(join(scratch, 'tuning-'));
  data = { name: 'data', path: join(home, 'files'), writable: true };
  fast = { name: 'fast', path: home, writable: true };
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const settings = (
  asked: { threads?: number; depth?: number; jobs?: number; memoryBytes?: number; roots?: RootConfig[] } = {},
) => ({
  dataDirectory: home,
  threads: asked.threads,
  depth: asked.depth,
  jobs: asked.jobs ?? 8,
  memoryBytes: asked.memoryBytes ?? defaults.MEMORY_BYTES,
  roots: asked.roots ?? [data, fast],
});

/** A profile asks for more threads than the default; it never takes any away, for only large writes were measured. */
const MORE = defaults.THREADS + 1;

test('without a profile the defaults hold', () => {
  const { threads, roots, warnings } = tuneHost(settings());
  expect({ threads, roots, warnings }).toEqual({ threads: defaults.THREADS, roots: [data, fast], warnings: [] });
});

test('options go before the profile, and the profile before the defaults', () => {
  writeProfile(home, profileOf(data, { threads: MORE, depth: 10, rows: 10 }));
  expect(tuneHost(settings())).toMatchObject({ threads: MORE, depth: 10 });
  expect(tuneHost(settings({ threads: 1 }))).toMatchObject({ threads: 1, depth: 10 });
  expect(tuneHost(settings({ depth: 4 }))).toMatchObject({ threads: MORE, depth: 4 });
  expect(tuneHost(settings({ threads: 1, depth: 4 })).notes).toEqual([]);
  expect(tuneHost(settings()).notes.join('\n')).toContain('root data');
});

test('the default root decides on threads and depth, else the first root with a profile; each root has its own matrix', () => {
  writeProfile(home, profileOf(fast, { threads: MORE, depth: 8, rows: 32, rowBytes: 65_536 }));
  expect(tuneHost(settings())).toMatchObject({ threads: MORE, depth: 8 });
  writeProfile(home, profileOf(data, { threads: MORE + 1, depth: 16, rows: 16, rowBytes: 1_048_576 }));
  const { threads, depth, roots } = tuneHost(settings({ roots: [fast, data] }));
  expect({ threads, depth }).toEqual({ threads: MORE + 1, depth: 16 });
  expect(roots).toEqual([
    { ...fast, matrix: { rows: 32, rowBytes: 65_536 } },
    { ...data, matrix: { rows: 16, rowBytes: 1_048_576 } },
  ]);
});

test('each of the writes that run at once on a thread can have an iocb in flight', () => {
  writeProfile(home, profileOf(data, { threads: 1, depth: 8 }));
  expect(tuneHost(settings({ jobs: 24 })).depth).toBe(24);
});

test('a matrix that the row memory has no room for is left out, and the log has it', () => {
  writeProfile(home, profileOf(data, { rows: 8, rowBytes: 4_194_304 }));
  const fits = tuneHost(settings({ threads: 2, memoryBytes: 67_108_864 }));
  expect(fits.roots[0]).toEqual({ ...data, matrix: { rows: 8, rowBytes: 4_194_304 } });
  const tight = tuneHost(settings({ threads: 2, memoryBytes: 67_108_863 }));
  expect(tight.roots[0]).toEqual(data);
  expect(tight.notes).toContainEqual(expect.stringContaining('8 rows of 4.00 MiB'));
});

test('a profile of what the root is no longer is not used, and the warning shows how to make another', () => {
  writeProfile(home, { ...profileOf(data, { threads: MORE }), path: '/srv/before' });
  const { threads, roots, warnings } = tuneHost(settings());
  expect({ threads, roots }).toEqual({ threads: defaults.THREADS, roots: [data, fast] });
  expect(warnings).toEqual([expect.stringContaining(`penstock calibrate data=${data.path}`)]);
});

test('queue depth x threads respects the tags of the device, unless an option sets it', () => {
  const tags = deviceOf(home).tags ?? Number.POSITIVE_INFINITY;
  // As many threads as make the default depth too much, if that can be known.
  const threads = Math.min(64, Math.floor(tags / defaults.DEPTH) + 1);
  const lowered = tuneHost(settings({ threads }));
  expect(lowered.depth).toBe(Math.min(defaults.DEPTH, Math.floor(tags / threads)));
  expect(lowered.warnings).toEqual([]);
  const known = tags < 64 * defaults.DEPTH;
  expect(lowered.notes).toEqual(known ? [expect.stringContaining(`the ${tags} requests`)] : []);

  writeProfile(home, profileOf(data, { threads, depth: defaults.DEPTH }));
  expect(tuneHost(settings()).depth).toBe(lowered.depth);

  const asked = tuneHost(settings({ threads, depth: 4096 }));
  expect(asked).toMatchObject({ threads, depth: 4096 });
  expect(asked.warnings).toHaveLength(tags < threads * 4096 ? 1 : 0);
});
