import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { Cli } from '../cli.fixture.ts';

const cli = new Cli();
const place = join(cli.directory, 'place');
mkdirSync(place);
afterAll(() => cli.close());

test('three files go through the queue, are verified, and leave nothing', async () => {
  const { code, stdout } = await cli.run('demo', '--dir', place, '--size', '8MiB');
  expect(code).toBe(0);
  for (const file of ['forum-2011.txt', 'stamped.bin', 'node-copy']) {
    expect(stdout).toMatch(new RegExp(`${file} +│ +[\\d,]+ │ +\\d+ │ .*│ (aio|sync)-\\w+ +│ [0-9a-f]{16} ok`));
  }
  // The forum's three mistakes, each beside what becomes of it.
  expect(stdout).toMatch(/res = -?\d+/);
  expect(stdout).toMatch(/res2 = 0/);
  expect(stdout).toMatch(/1024 rows of 1024 bytes in \d+ writes of \d+, 0 short/);
  expect(readdirSync(place)).toEqual([]);
});

test('Ctrl-C in the middle leaves nothing either', async () => {
  const demo = cli.start('demo', '--dir', place, '--size', '512MiB');
  await demo.says(/stamped\.bin/);
  demo.child.kill('SIGINT');
  expect((await demo.ended).code).toBe(130);
  expect(readdirSync(place)).toEqual([]);
});

test('a place without room is told before anything is started', async () => {
  const { code, stderr } = await cli.run('demo', '--dir', place, '--size', '4PiB');
  expect(code).toBe(1);
  expect(stderr).toMatch(/4\.00 PiB are needed/);
  expect(stderr).toContain('--dir');
  expect(readdirSync(place)).toEqual([]);
});
