// `npm run bench -- --against`: a case runs with the hosts of two builds in turns.
import { expect, test } from '@jest/globals';
import { checkoutRoot } from '../support/system.ts';
import { againstBuild, builtCheckout } from './against.ts';
import { cases } from './cases/index.ts';
import { runCase, verdictOn } from './outcome.ts';

test('a case runs against itself in another build, each on a system of its own, and is judged by the ratio asked for', async () => {
  const bench = againstBuild(
    cases.find(({ name }) => name === 'bulk-4k')!,
    builtCheckout(checkoutRoot),
    { promise: 'a test', ratioMin: 1e9, cpuRatioMax: null },
  );
  const outcome = await runCase(bench, { pairs: 1, warmups: 0, smoke: true });
  if (outcome.kind !== 'paired') throw new Error(`it was not run: ${JSON.stringify(outcome)}`);
  expect(outcome.peer).toMatch(/^the build of /);
  for (const { rate, processes } of [...outcome.result.subject, ...outcome.result.peer]) {
    expect(rate).toBeGreaterThan(0);
    expect(processes.length).toBeGreaterThan(0);
  }
  expect(verdictOn(outcome)).toBe('missed');
});
