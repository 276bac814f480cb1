// Every field, mode and source, each compared as a whole file at the edge sizes, on the disk that holds the checkout.
import { mkdtempSync, rmSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { REQUEST_ROWS, faultsOfBulks, faultsOfJobs, strayNames } from '../request-rows.ts';
import { ContentServer } from '../soak/served.ts';
import { System } from '../system.ts';

let system: System;
let shmDirectory: string;
let server: ContentServer;

beforeAll(async () => {
  system = await System.open();
  shmDirectory = mkdtempSync('/dev/shm/penstock-matrix-');
  server = await ContentServer.open();
  await system.host(['--threads', '2', '--shm', shmDirectory, '--url-allow', '127.0.0.1']);
});
afterAll(async () => {
  rmSync(shmDirectory, { recursive: true });
  await system.close();
  await server.close();
});

test('each row of the table has a name of its own', () => {
  expect(new Set(REQUEST_ROWS.map(({ name }) => name)).size).toBe(REQUEST_ROWS.length);
});

test('every field, mode and source, as jobs: each file has exactly the bytes asked for', async () => {
  expect(await faultsOfJobs(system, { root: 'data', directory: system.data, shmDirectory, server })).toEqual([]);
  expect(strayNames(system.names())).toEqual([]);
}, 120_000);

test('every field, mode and source, as items of bulks: each file has exactly the bytes asked for', async () => {
  expect(await faultsOfBulks(system, { root: 'data', directory: system.data, shmDirectory, server })).toEqual([]);
  expect(strayNames(system.names())).toEqual([]);
}, 120_000);
