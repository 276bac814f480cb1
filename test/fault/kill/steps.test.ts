// A process that dies at a step of a write's life: the next attempt ends exactly right. A covering few of the steps; all of
// them in steps.long.test.ts and `npm run soak -- steps`.
import { closeSync, openSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { fileSystemOf, forgetsFreed, statFd } from '@penstock/disk';
import type { Case } from '../../steps/cases.ts';
import { type Step, StepTrials } from '../../steps/trials.ts';

let trials: StepTrials;
beforeAll(async () => {
  trials = await StepTrials.open();
});
afterAll(() => trials.close());

const LARGE = 1_573_865;
const ROUND = 1_572_864;
const of = (way: Case['way'], source: Case['source'], check: Case['check'], size: number): Case => ({
  way,
  source,
  check,
  size,
  durability: 'fdatasync',
  seed: 11,
});
/** Without a journal a file and the one that it replaces change names. */
function renaming(): string {
  const repository = fileURLToPath(new URL('../../..', import.meta.url));
  const fd = openSync(repository, 'r');
  const forgets = forgetsFreed(fileSystemOf(fd, repository), statFd(fd, repository).device);
  closeSync(fd);
  return forgets ? 'renameat2' : 'renameat';
}

const at = (call: string, nth: number): Step => ({ call, nth });

test.each([
  [of('create atomic', 'file', 'none', ROUND), at('fsetxattr', 2)],
  [of('create in place', 'pattern', 'none', 10_007), at('fcntl', 1)],
  [of('create in place', 'url-sized', 'none', LARGE), at('fsetxattr', 1)],
  [of('replace atomic', 'url', 'readback', LARGE), at(renaming(), 1)],
  [of('replace in place', 'sparse-file', 'readback', LARGE), at('ftruncate', 2)],
  [of('overwrite within', 'url', 'none', LARGE), at('io_submit', 9)],
  [of('overwrite beyond', 'pattern', 'readback', LARGE), at('ftruncate', 1)],
  [of('append', 'url-unsized', 'none', LARGE), at('io_getevents', 8)],
])('%j, dead at %j: the next attempt ends exactly right', async (which, step) => {
  const { met, wrong } = await trials.kill(which, [step]);
  expect(wrong).toEqual([]);
  expect(met).toEqual([step]);
});

test.each([of('overwrite within', 'file', 'checksum', LARGE), of('append', 'url', 'readback', LARGE)])(
  '%j, finished and not reported: the next attempt ends exactly right',
  async (which) => {
    const { steps, wrong } = await trials.live(which);
    expect(wrong).toEqual([]);
    // What was died at above, and what a life has besides, is counted at all.
    for (const call of ['fcntl', 'fsetxattr', 'io_submit', 'io_getevents', 'close', 'postMessage'])
      expect(steps.map((step) => step.call)).toContain(call);
  },
);
