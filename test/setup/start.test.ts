import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { once } from 'node:events';
import { Checkout, ended } from './checkout.fixture.ts';

let checkout: Checkout;

beforeEach(() => {
  checkout = new Checkout();
});

afterEach(() => checkout.close());

test('without a command the main job is started, with one that command, and its exit code is kept', async () => {
  checkout.write('apps/cli/dist/main.js', 'console.log(JSON.stringify(process.argv.slice(2))); process.exitCode = 7;');
  expect(await checkout.run('start.mjs')).toEqual({ code: 7, stdout: '["demo"]\n', stderr: '' });
  const { stdout } = await checkout.run('start.mjs', ['verify', 'a file', '--seed', '7']);
  expect(JSON.parse(stdout)).toEqual(['verify', 'a file', '--seed', '7']);
});

test('a signal reaches the command', async () => {
  const program = `process.on('SIGTERM', () => { process.exitCode = 3; clearInterval(timer); }); const timer = setInterval(() => {}, 1e6); console.log('ready');`;
  checkout.write('apps/cli/dist/main.js', program);
  const child = checkout.start('start.mjs', ['up']);
  const end = ended(child);
  await once(child.stdout!, 'data');
  child.kill('SIGTERM');
  expect((await end).code).toBe(3);
});

test('where nothing is compiled yet it says what to do', async () => {
  expect(await checkout.run('start.mjs')).toMatchObject({ code: 1, stderr: expect.stringContaining('npm start') });
});
