// Deaths at every kind of step of every kind of write, many drawn by a fixed seed.
import { expect, test } from '@jest/globals';
import { sweep } from '../../steps/sweep.ts';

const SEED = 20_261_128;
const TRIALS = 160;

test(`a process that dies at a step of a write: the next attempt ends exactly right (seed ${SEED})`, async () => {
  const { trials, met, calls, wrong } = await sweep({ seed: SEED, count: TRIALS, kills: 4 });
  expect(wrong).toEqual([]);
  expect(trials).toBe(TRIALS);
  // How many rows a turn of the loop submits is not the same each time: a few deaths come too late.
  expect(met).toBeGreaterThan(TRIALS / 2);
  for (const call of ['fcntl', 'fsetxattr', 'fallocate', 'io_submit', 'io_getevents', 'ftruncate', 'fchmod', 'close'])
    expect([...calls.keys()]).toContain(call);
  expect([...calls.keys()].some((call) => call.startsWith('renameat'))).toBe(true);
}, 900_000);
