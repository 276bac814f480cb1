import { mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { native } from '@penstock/native';
import { NO_MOUNT, RootWords, Roots, lastMountId, readIdentity } from '@penstock/disk';
import { type Bench, openBench } from '../src/thread/thread.fixture.ts';

let bench: Bench;
let home: string;
beforeEach(() => {
  bench = openBench();
  home = mkdtempSync(join(bench.archive, 'roots-'));
});
afterEach(() => bench.end());

/** As long as what was found at a root's path is believed. */
const believed = (): Promise<void> => setTimeout(60);
const openBelow = (directory: string): number =>
  readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(directory);
    } catch {
      return false; // the one that lists them
    }
  }).length;

test('a directory that was made anew in the place of a root is written, and what was moved away is not', async () => {
  await bench.write({ path: 'before', size: 10 });
  renameSync(bench.directory, join(home, 'moved'));
  mkdirSync(bench.directory);
  await believed();
  await bench.write({ path: 'after', size: 10 });
  expect(bench.names()).toEqual(['after']);
  expect(readdirSync(join(home, 'moved'))).toEqual(['before']);
});

test('a write whose root is moved while it runs is not published, and leaves nothing where nobody looks', async () => {
  const prepWrite = bench.engine.prepWrite.bind(bench.engine);
  bench.engine.prepWrite = (...args) => {
    bench.engine.prepWrite = prepWrite;
    renameSync(bench.directory, join(home, 'moved'));
    mkdirSync(bench.directory);
    prepWrite(...args);
  };
  const { directory } = bench;
  await expect(bench.write({ path: 'a', size: 100_000 })).rejects.toMatchObject({ code: 'ESTALE', path: directory });
  expect(bench.names()).toEqual([]);
  expect(readdirSync(join(home, 'moved'))).toEqual([]);
  await bench.write({ path: 'a', size: 100_000 });
  expect(readFileSync(join(directory, 'a'))).toHaveLength(100_000);
});

test('a root is opened on the mount alone that it is to be on, and not at all where that is gone', async () => {
  expect(readIdentity(home)).toBe(0);
  const mount = lastMountId();
  const words = new RootWords(1, 1);
  const roots = new Roots([{ name: 'data', path: home, writable: true }], words);
  words.expect(0, mount);
  expect(roots.get('data', 'root', true).fd).toBeGreaterThan(0);
  for (const [expected, hint] of [
    [NO_MOUNT, /is gone: mount it again/],
    [mount + 1, /Another directory stands there/],
  ] as const) {
    words.expect(0, expected);
    await believed();
    let thrown: unknown;
    try {
      roots.get('data', 'root', true);
    } catch (error) {
      thrown = error;
    }
    if (mount !== 0 || expected === NO_MOUNT)
      expect(thrown).toMatchObject({ code: 'ESTALE', hint: expect.stringMatching(hint) });
    expect(roots.find('data') === undefined).toBe(thrown !== undefined);
  }
  words.expect(0, mount);
  expect(roots.get('data', 'root', true).fd).toBeGreaterThan(0);
  roots.close();
});

test('what a thread held open of its roots is known after its death', () => {
  const words = new RootWords(2, 1);
  const roots = new Roots([{ name: 'data', path: home, writable: true }], words, 1);
  const { fd } = roots.get('data', 'root', true);
  expect(words.take(0)).toEqual([]);
  expect(words.take(1)).toEqual([fd]);
  expect(words.take(1)).toEqual([]);
  native.close(fd);
});

test('a root that nobody asked for is closed after some seconds, and opened again on demand', async () => {
  const roots = new Roots([{ name: 'data', path: home, writable: true }]);
  roots.get('data', 'root', true);
  expect(openBelow(home)).toBe(1);
  while (openBelow(home) > 0) await setTimeout(100); // the test's own limit is what it may take
  expect(roots.get('data', 'root', true).fd).toBeGreaterThan(0);
  roots.close();
  rmSync(home, { recursive: true });
}, 20_000);
