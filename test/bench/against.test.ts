import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import { againstBuild, loadBuild } from './against.ts';
import { cases } from './cases/index.ts';
import { runCase, verdictOn } from './outcome.ts';

const checkout = fileURLToPath(new URL('../../', import.meta.url));
const caseOf = (name: string) => cases.find((bench) => bench.name === name)!;

test('a case runs against itself in another build, each on a system of its own, and is judged by the ratio asked for', async () => {
  const other = await loadBuild(checkout);
  const bench = againstBuild(caseOf('bulk-4k'), other, 1e9);
  const outcome = await runCase(bench, { pairs: 1, warmups: 0, smoke: true });
  if (outcome.kind !== 'paired') throw new Error(`it was not run: ${JSON.stringify(outcome)}`);
  expect(outcome.peer).toMatch(/^the build of /);
  for (const { rate, processes } of [...outcome.result.subject, ...outcome.result.peer]) {
    expect(rate).toBeGreaterThan(0);
    expect(processes.length).toBeGreaterThan(0);
  }
  expect(verdictOn(outcome)).toBe('missed');
});

test('what has no rate, and what is no build, are refused with what to do', async () => {
  const other = await loadBuild(checkout);
  expect(() => againstBuild(caseOf('idle-host'), other, 1)).toThrow('idle-host measures no rate');
  expect(() => againstBuild(caseOf('bulk-4k'), { ...other, cases: [] }, 1)).toThrow('has no case bulk-4k');
  const empty = mkdtempSync(join(tmpdir(), 'penstock-no-build-'));
  try {
    await expect(loadBuild(empty)).rejects.toThrow('Run `npm run build` there first.');
  } finally {
    rmSync(empty, { recursive: true });
  }
});
