import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import { againstBuild, builtCheckout } from './against.ts';
import { cases } from './cases/index.ts';
import { runCase } from './outcome.ts';
import type { RatioTarget } from './targets.ts';

const checkout = fileURLToPath(new URL('../../', import.meta.url));
const atLeast = (ratioMin: number): RatioTarget => ({ promise: 'a test', ratioMin, cpuRatioMax: null });
const caseOf = (name: string) => cases.find((bench) => bench.name === name)!;

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
