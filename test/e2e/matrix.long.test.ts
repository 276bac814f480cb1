// Every field, mode and source, as items of bulks, at every edge size.
import { expect, test } from '@jest/globals';
import { faultsOfBulks, strayNames } from '../support/request-rows.ts';
import { openMatrix } from './matrix.fixture.ts';

const { system, place } = openMatrix();

test('every field, mode and source, as items of bulks at every edge size: each file has exactly the bytes asked for', async () => {
  expect(await faultsOfBulks(system(), place())).toEqual([]);
  expect(strayNames(system().names())).toEqual([]);
});
