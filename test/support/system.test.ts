import { expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

// Node warns the process, of which a test sees a copy. No host takes the jobs.
const WAITS_FOR_MANY = `
  const { System } = await import(process.argv[1]);
  const system = await System.open();
  const jobs = await Promise.all(Array.from({ length: 30 }, () => system.add({})));
  const ends = await Promise.allSettled(jobs.map((job) => system.finished(job, 10)));
  await system.close();
  console.log(ends.filter(({ status }) => status === 'rejected').length, 'were waited for');
`;

test('waiting for many jobs at once is no leak that Node warns of', () => {
  const compiled = fileURLToPath(new URL('../dist/support/system.js', import.meta.url));
  const args = ['--input-type=module', '--eval', WAITS_FOR_MANY, compiled];
  const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  expect({ stdout, stderr }).toEqual({ stdout: '30 were waited for\n', stderr: '' });
});
