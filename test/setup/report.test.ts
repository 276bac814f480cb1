import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Checkout } from './checkout.fixture.ts';

let checkout: Checkout;

beforeEach(() => {
  checkout = new Checkout();
  checkout.write('libs/one/src/one.test.ts', '');
  checkout.write('libs/two/package.json', { name: 'two' });
  checkout.write('libs/two/src/two.test.ts', '');
  // What nx would do: leave a result for each project.
  checkout.write(
    'node_modules/.bin/nx',
    `for (const [file, text] of Object.entries(JSON.parse(process.env.RESULTS))) require('node:fs').writeFileSync(file, text); process.exitCode = Number(process.env.CODE ?? 0);`,
  );
});

afterEach(() => checkout.close());

const result = (...tests: [status: string, fullName: string][]): string =>
  JSON.stringify({
    testResults: [
      {
        name: '/x/a.test.ts',
        status: 'passed',
        assertionResults: tests.map(([status, fullName]) => ({ status, fullName })),
      },
    ],
  });

async function report(
  results: Record<string, string>,
  env: NodeJS.ProcessEnv = {},
  args: string[] = [],
): Promise<{ code: number | null; lines: string[] }> {
  const files = Object.fromEntries(
    Object.entries(results).map(([name, text]) => [`${checkout.root}/libs/${name}/.jest-results.json`, text]),
  );
  const { code, stdout } = await checkout.run('test.mjs', args, { RESULTS: JSON.stringify(files), ...env });
  return { code, lines: stdout.trim().split('\n') };
}

test('the last line sums all projects, and skipped tests are named', async () => {
  const two = result(['passed', 'b'], ['pending', 'draws a page'], ['todo', 'later']);
  const { code, lines } = await report({ one: result(['passed', 'a']), two });
  expect(lines).toEqual([
    'skipped: libs/two: draws a page',
    'skipped: libs/two: later',
    '2 passed, 0 failed, 2 skipped',
  ]);
  expect(code).toBe(0);
});

test('why a tool is missing stands before the tests that were skipped', async () => {
  checkout.write('.cache/native.json', { missing: { chromium: 'chromium was not found' } });
  const { lines } = await report({ one: result(['pending', 'a']), two: result(['passed', 'b']) });
  expect(lines).toEqual(['chromium was not found', 'skipped: libs/one: a', '1 passed, 0 failed, 1 skipped']);
});

test('a failed test fails the run, and is named', async () => {
  const { code, lines } = await report({ one: result(['failed', 'a']), two: result(['passed', 'b']) }, { CODE: '1' });
  expect(lines).toEqual(['failed: libs/one: a', '1 passed, 1 failed, 0 skipped']);
  expect(code).toBe(1);
});

test('a test file that could not be loaded counts as failed', async () => {
  const broken = JSON.stringify({ testResults: [{ name: '/x/one.test.ts', status: 'failed', assertionResults: [] }] });
  const { code, lines } = await report({ one: broken, two: result(['passed', 'b']) });
  expect(lines).toEqual(['failed: libs/one: one.test.ts could not be run', '1 passed, 1 failed, 0 skipped']);
  expect(code).toBe(1);
});

test('a project with tests and no result fails the run, even if an earlier run left one', async () => {
  checkout.write('libs/two/.jest-results.json', result(['passed', 'of yesterday']));
  const { code, lines } = await report({ one: result(['passed', 'a']) });
  expect(lines).toEqual(['no result: libs/two (1 test files)', '1 passed, 0 failed, 0 skipped']);
  expect(code).toBe(1);
});

test('a project that was not asked for needs no result', async () => {
  const { code, lines } = await report({ one: result(['passed', 'a']) }, {}, ['-p', 'one']);
  expect({ code, lines }).toEqual({ code: 0, lines: ['1 passed, 0 failed, 0 skipped'] });
});

test('a failed build fails the run though every test passed', async () => {
  const { code } = await report({ one: result(['passed', 'a']), two: result(['passed', 'b']) }, { CODE: '1' });
  expect(code).toBe(1);
});
