// What ends a run early, with the real Jest: the closing line counts what was done, and what was not is named.
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Checkout, ended } from './checkout.fixture.ts';

const at = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));

let checkout: Checkout;

beforeEach(() => {
  checkout = new Checkout();
  checkout.write('libs/one/src/good.test.ts', `test('is good', () => {});`);
  // Does what nx does: runs each project's tests, with its results file.
  const jest = JSON.stringify([
    '--experimental-vm-modules',
    at('node_modules/jest/bin/jest.js'),
    '-c',
    at('config/jest.config.mjs'),
    '--rootDir',
    'libs/one',
  ]);
  checkout.write(
    'node_modules/.bin/nx',
    `const { status } = require('node:child_process').spawnSync(process.execPath, ${jest}, {
       env: { ...process.env, JEST_RESULTS_FILE: 'libs/one/.jest-results.json' }, stdio: 'ignore' });
     process.exitCode = status ?? 1;`,
  );
});

afterEach(() => checkout.close());

async function run(env: NodeJS.ProcessEnv = {}): Promise<{ code: number | null; lines: string[] }> {
  const { code, stdout } = await checkout.run('test.mjs', [], env);
  return { code, lines: stdout.trim().split('\n') };
}

/** Resolves once the good file's result is written. */
const untilGoodIsDone = `
  const { readFileSync } = await import('node:fs');
  while (!readFileSync('libs/one/.jest-results.json', 'utf8').includes('is good'))
    await new Promise((resolve) => setTimeout(resolve, 10));`;

test('tests that end well are counted', async () => {
  expect(await run()).toEqual({ code: 0, lines: ['1 passed, 0 failed, 0 skipped'] });
});

test('a test file whose process is killed counts as failed, beside the results of the others', async () => {
  checkout.write('libs/one/src/killed.test.ts', `test('dies', () => process.kill(process.pid, 'SIGKILL'));`);
  expect(await run()).toEqual({
    code: 1,
    lines: ['failed: libs/one: killed.test.ts could not be run', '1 passed, 1 failed, 0 skipped'],
  });
});

test('where Jest itself is killed, the results of before count and each test file without one is named', async () => {
  const kill = `test('kills', async () => { ${untilGoodIsDone} process.kill(process.ppid, 'SIGKILL'); });`;
  checkout.write('libs/one/src/kills.test.ts', kill);
  expect(await run()).toEqual({
    code: 1,
    lines: ['failed: libs/one/src/kills.test.ts has no result', '1 passed, 1 failed, 0 skipped'],
  });
});

test('a run that does not end is ended, and its closing line is written', async () => {
  checkout.write('node_modules/.bin/nx', 'setInterval(() => {}, 1e6);');
  expect(await run({ TEST_MINUTES_MAX: '0.01' })).toEqual({
    code: 1,
    lines: [
      'ended after 0.01 minutes (TEST_MINUTES_MAX)',
      '',
      'failed: libs/one/src/good.test.ts has no result',
      '0 passed, 1 failed, 0 skipped',
    ],
  });
});

test('Ctrl-C ends all that the run has started, and the closing line is written', async () => {
  // As nx does: gives the tests a process group of their own, where no Ctrl-C comes. They do not end for less than SIGKILL.
  const tests = `process.on('SIGTERM', () => {}); console.log('begun'); setTimeout(() => {}, 30_000);`;
  checkout.write(
    'node_modules/.bin/nx',
    `require('node:child_process').spawn(process.execPath, ['-e', ${JSON.stringify(tests)}], { detached: true, stdio: 'inherit' });`,
  );
  const running = checkout.start('test.mjs', []);
  const end = ended(running); // not before the last of them has let go of the output
  await once(running.stdout!, 'data');
  running.kill('SIGINT');
  const { code, stdout } = await end;
  expect({ code, lines: stdout.trim().split('\n') }).toEqual({
    code: 1,
    lines: [
      'begun',
      'ended by SIGINT',
      '',
      'failed: libs/one/src/good.test.ts has no result',
      '0 passed, 1 failed, 0 skipped',
    ],
  });
});
