// `npm run bench -- --compare`: another commit of this very repository is built and takes part, and nothing of it is left.
import { expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { checkoutRoot, scratch } from '../support/system.ts';

const bench = join(checkoutRoot, 'test/dist/bench/run.js');
const hasGit = spawnSync('git', ['rev-parse', '--verify', '--quiet', 'HEAD'], { cwd: checkoutRoot }).status === 0;

const run = (...args: string[]) => spawnSync(process.execPath, [bench, ...args], { encoding: 'utf8' });

(hasGit ? test : test.skip)('a case runs beside itself in the last commit (git, and a checkout of it)', () => {
  const { status, stdout, stderr } = run('bulk-4k', '--compare', 'HEAD', '--smoke');
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(stdout).toMatch(/bulk-4k[^]*against the build of [0-9a-f]+\n[^]*ratio \d/);
  expect(readdirSync(scratch).filter((name) => name.startsWith('compare-'))).toEqual([]);
});

(hasGit ? test : test.skip)('a case that has no rate is refused before anything is built (git)', () => {
  const { status, stdout, stderr } = run('idle-host', '--compare', 'HEAD', '--smoke');
  expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
  expect(stderr).toContain('idle-host measures no rate');
});
