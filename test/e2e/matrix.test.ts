// Every field, mode and source, each compared as a whole file at the edge sizes; in bulks at all of them in matrix.long.test.ts.
import { expect, test } from '@jest/globals';
import { REQUEST_ROWS, faultsOfBulks, faultsOfJobs, strayNames } from '../support/request-rows.ts';
import { openMatrix } from './matrix.fixture.ts';

const { system, place } = openMatrix();

test('each row of the table has a name of its own', () => {
  expect(new Set(REQUEST_ROWS.map(({ name }) => name)).size).toBe(REQUEST_ROWS.length);
});

test('every field, mode and source, as jobs: each file has exactly the bytes asked for', async () => {
  expect(await faultsOfJobs(system(), place())).toEqual([]);
  expect(strayNames(system().names())).toEqual([]);
}, 180_000);

test('every field, mode and source, as items of bulks: each file has exactly the bytes asked for', async () => {
  expect(await faultsOfBulks(system(), { ...place(), sizes: [1, 4096, 65_537, 1_048_577] })).toEqual([]);
  expect(strayNames(system().names())).toEqual([]);
}, 180_000);
