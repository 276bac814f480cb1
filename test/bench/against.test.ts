import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import { againstBuild, builtCheckout } from './against.ts';
import { cases } from './cases/index.ts';
import { runCase, verdictOn } from './outcome.ts';
import type { RatioTarget } from './targets.ts';

const checkout = fileURLToPath(new URL('../../', import.meta.url));
const atLeast = (ratioMin: number): RatioTarget => ({ promise: 'a test', ratioMin, cpuRatioMax: null });
const caseOf = (name: string) => cases.find((bench) => bench.name === name)!;

test('a case runs against itself in another build, each on a system of its own, and is judged by the ratio asked for', async () => {
  const bench = againstBuild(caseOf('bulk-4k'), builtCheckout(checkout), atLeast(1e9));
  const outcome = await runCase(bench, { pairs: 1, warmups: 0, smoke: true });
  if (outcome.kind !== 'paired') throw new Error(`it was not run: ${JSON.stringify(outcome)}`);
  expect(outcome.peer).toMatch(/^the build of /);
  for (const { rate, processes } of [...outcome.result.subject, ...outcome.result.peer]) {
    expect(rate).toBeGreaterThan(0);
    expect(processes.length).toBeGreaterThan(0);
  }
  expect(verdictOn(outcome)).toBe('missed');
});

test('what has no rate, and what is no build, are refused with what to do', () => {
  expect(() => againstBuild(caseOf('idle-host'), builtCheckout(checkout), atLeast(1))).toThrow('measures no rate');
  const empty = mkdtempSync(join(tmpdir(), 'penstock-no-build-'));
  try {
    expect(() => builtCheckout(empty)).toThrow('Run `npm run build` there first.');
  } finally {
    rmSync(empty, { recursive: true });
  }
});

test("the hosts of the other side are the other build's", async () => {
  const bench = againstBuild(caseOf('bulk-4k'), { name: 'none', build: { host: '/no/host.js', cli: '' } }, atLeast(1));
  await expect(runCase(bench, { pairs: 1, warmups: 0, smoke: true })).rejects.toThrow('/no/host.js');
});
