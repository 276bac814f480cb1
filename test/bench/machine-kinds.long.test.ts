// `npm run bench -- --cores 1 --disk ext4`: the bench as on another kind of machine, and nothing of it is left.
import { expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { mayMount } from '../support/loop-disk.fixture.ts';
import { checkoutRoot, scratch } from '../support/system.ts';

(mayMount() ? test : test.skip)('a case runs on one core, and on a disk of its own (root, loop devices)', () => {
  const bench = join(checkoutRoot, 'test/dist/bench/run.js');
  const args = [bench, 'bulk-4k', '--smoke', '--cores', '1', '--disk', 'ext4'];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(stdout).toContain('- 1 core, ');
  expect(stdout).toMatch(/- ext4 \(.*\) on \/dev\/loop\d+/);
  expect(stdout).toMatch(/ratio \d/);
  expect(readdirSync(scratch).filter((name) => name.startsWith('disk-'))).toEqual([]);
  expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(`${scratch}/disk-`);
});
