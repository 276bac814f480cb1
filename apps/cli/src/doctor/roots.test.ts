import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from '@jest/globals';
import type { RootConfig } from '@penstock/disk';
import type { Finding } from './finding.ts';
import { checkRoot, type RootCheckOptions } from './roots.ts';
import { findStrayFiles } from './stray.ts';

const cache = fileURLToPath(new URL('../../../../.cache/', import.meta.url));
mkdirSync(cache, { recursive: true });
const scratch = mkdtempSync(join(cache, 'doctor-test-'));

async function findingsOf(root: RootConfig, look?: RootCheckOptions): Promise<Finding[]> {
  const findings: Finding[] = [];
  for await (const finding of checkRoot(root, undefined, look)) findings.push(finding);
  return findings;
}

afterAll(() => rmSync(scratch, { recursive: true, force: true }));

test('only partial files that nobody has touched for a day are stray', async () => {
  const root = join(scratch, 'stray');
  mkdirSync(join(root, 'below'), { recursive: true });
  const old = new Date(Date.now() - 2 * 86_400_000);
  for (const name of ['.penstock-ab12-cd.part', 'below/.penstock-ab13-ce.part', 'other.part', '.penstock-new-1.part']) {
    writeFileSync(join(root, name), 'abc');
    if (!name.includes('new')) utimesSync(join(root, name), old, old);
  }
  symlinkSync(root, join(root, 'loop'));
  const found = await findStrayFiles(root);
  expect(found.paths.toSorted()).toEqual([
    join(root, '.penstock-ab12-cd.part'),
    join(root, 'below/.penstock-ab13-ce.part'),
  ]);
  expect(found).toMatchObject({ bytes: 6, complete: true });
});

test('a root is judged by a real write, which leaves nothing', async () => {
  const path = join(scratch, 'root');
  mkdirSync(path);
  const findings = await findingsOf({ name: 'data', path, writable: true });
  // On a disk without a journal there is one more: test/fault/ground/disks.long.test.ts has them all.
  const kinds = findings.map(({ what }) => what).filter((what) => what !== 'root data: power loss');
  expect(kinds).toEqual(['root data', 'root data: writing', 'root data: space', 'root data: partial files']);
  expect(findings[1]?.found).toMatch(/^(aio|sync)-(direct|buffered) \((libaio|syscalls|positional)\)/);
  expect(readdirSync(path)).toEqual([]);
});

test('a root that is missing is judged by what it will be made on', async () => {
  const findings = await findingsOf({ name: 'data', path: join(scratch, 'not/yet'), writable: true });
  expect(findings[0]).toMatchObject({ verdict: 'ok', found: expect.stringContaining('the host makes it') });
  expect(readdirSync(scratch)).not.toContain('not');
});

test('a root that is missing and that no host makes has failed', async () => {
  const path = join(scratch, 'not/there');
  const findings = await findingsOf({ name: 'captures', path, writable: true }, { isMade: false });
  expect(findings).toMatchObject([{ verdict: 'fail', found: `${path} is not there` }]);
});

test('a root to read from is not written to', async () => {
  const findings = await findingsOf({ name: 'archive', path: scratch, writable: false });
  expect(findings.map(({ what }) => what)).toEqual(['root archive', 'root archive: partial files']);
});
