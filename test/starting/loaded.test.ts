// What is loaded when it is not needed is paid at every start: so much is loaded, and none of that.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { isBundled, loadedBy, strace } from './loaded.fixture.ts';
import { cliEntry } from '../support/system.ts';

const withStrace = strace === null ? test.skip : test;
const ofBundle = strace === null || !isBundled ? test.skip : test;
/** What is large. */
const QUEUE = ['bullmq', 'ioredis', 'cron-parser', 'semver', 'msgpackr'];
const LARGE = [...QUEUE, 'zod', 'fastify', 'undici', 'koffi', 'piscina', 'table', 'log-update'];

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'starting-'));
});
afterEach(() => rmSync(home, { recursive: true }));

const overlap = (origins: ReadonlySet<string>, names: readonly string[]): string[] =>
  names.filter((name) => origins.has(name));

withStrace('penstock --version loads nothing large', () => {
  const { files, origins } = loadedBy([cliEntry, '--version']);
  expect(overlap(origins, LARGE)).toEqual([]);
  expect(files.length).toBeLessThan(30);
});

ofBundle('the help of a command is some files of the bundle, and nothing of the queue', () => {
  for (const command of ['write', 'enqueue', 'watch', 'verify', 'doctor']) {
    const { files, origins } = loadedBy([cliEntry, command, '--help']);
    expect(overlap(origins, QUEUE)).toEqual([]);
    expect(files.length).toBeLessThan(60);
  }
});

ofBundle('a host is some files of the bundle, and no dashboard and no fetcher', () => {
  const { files, origins } = loadedBy([join(cliEntry, '../../../host/dist/main.js'), '--help']);
  expect(overlap(origins, ['bullmq', 'commander'])).toEqual(['bullmq', 'commander']);
  expect(overlap(origins, ['fastify', 'undici', '@bull-board/api'])).toEqual([]);
  expect(files.length).toBeLessThan(80);
});

ofBundle("BullMQ's queues in Postgres are in no file of the bundle", () => {
  const { files } = loadedBy([join(cliEntry, '../../../host/dist/main.js'), '--help']);
  const isClient = (file: string): boolean =>
    /dist\/bundle\/.*\.cjs$/.test(file) && readFileSync(file, 'utf8').includes('moveToFinished');
  const client = files.find(isClient);
  expect(client).toBeDefined();
  expect(readFileSync(client!, 'utf8')).not.toMatch(/postgres\/migrat|CREATE TABLE/);
});

const imports = (entry: string): string[] => [
  '--input-type=module',
  '-e',
  // Without its data the thread ends at once: it has loaded what it loads by then.
  `await import(${JSON.stringify(join(cliEntry, '../../../..', entry))}).catch(() => {})`,
];

withStrace("a writer thread loads no queue and no schemas, in a program's process", () => {
  const { files, origins } = loadedBy(imports('workers/writer/dist/thread/worker.js'));
  expect(overlap(origins, ['@penstock/sink', '@penstock/aio', 'koffi'])).toHaveLength(3);
  expect(overlap(origins, [...QUEUE, 'zod', 'piscina'])).toEqual([]);
  expect(files.length).toBeLessThan(230);
});

ofBundle("a writer thread loads no queue and no schemas, in a host's process", () => {
  const { files, origins } = loadedBy(imports('apps/cli/dist/bundle/writer.cjs'));
  expect(overlap(origins, ['@penstock/sink', '@penstock/aio', 'koffi'])).toHaveLength(3);
  expect(overlap(origins, [...QUEUE, 'zod', 'piscina'])).toEqual([]);
  expect(files.length).toBeLessThan(40);
});

withStrace("a program that writes files by itself loads nothing of the queue's", () => {
  const file = join(home, 'a.txt');
  const program = `
    import { openWriter, WriteQueue } from 'penstock';
    const queue = new WriteQueue({ connection: { url: 'redis://127.0.0.1:1' } });
    const writer = await openWriter({ threads: 1 });
    await writer.writeFile(${JSON.stringify(file)}, 'written');
    await writer.close();
    await queue.close();`;
  const { files, origins } = loadedBy(['--input-type=module', '-e', program]);
  expect(readFileSync(file, 'utf8')).toBe('written');
  expect(overlap(origins, ['@penstock/writer', 'piscina', 'koffi'])).toHaveLength(3);
  expect(overlap(origins, QUEUE)).toEqual([]);
  expect(files.length).toBeLessThan(420);
});
