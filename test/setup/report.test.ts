import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Checkout, ended } from './checkout.fixture.ts';

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

const result = (name: string, ...tests: [status: string, fullName: string][]): string =>
  JSON.stringify({
    testResults: [
      {
        name: `/x/libs/${name}/src/${name}.test.ts`,
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
  const two = result('two', ['passed', 'b'], ['pending', 'draws a page'], ['todo', 'later']);
  const { code, lines } = await report({ one: result('one', ['passed', 'a']), two });
  expect(lines).toEqual([
    'skipped: libs/two: draws a page',
    'skipped: libs/two: later',
    '2 passed, 0 failed, 2 skipped',
  ]);
  expect(code).toBe(0);
});

test('why a tool is missing stands before the tests that were skipped', async () => {
  checkout.write('.cache/native.json', { missing: { chromium: 'chromium was not found' } });
  const { lines } = await report({ one: result('one', ['pending', 'a']), two: result('two', ['passed', 'b']) });
  expect(lines).toEqual(['chromium was not found', 'skipped: libs/one: a', '1 passed, 0 failed, 1 skipped']);
});

test('a failed test fails the run, and is named', async () => {
  const { code, lines } = await report(
    { one: result('one', ['failed', 'a']), two: result('two', ['passed', 'b']) },
    { CODE: '1' },
  );
  expect(lines).toEqual(['failed: libs/one: a', '1 passed, 1 failed, 0 skipped']);
  expect(code).toBe(1);
});

test('a test file that could not be loaded counts as failed', async () => {
  const broken = JSON.stringify({
    testResults: [{ name: '/x/libs/one/src/one.test.ts', status: 'failed', assertionResults: [] }],
  });
  const { code, lines } = await report({ one: broken, two: result('two', ['passed', 'b']) });
  expect(lines).toEqual(['failed: libs/one: one.test.ts could not be run', '1 passed, 1 failed, 0 skipped']);
  expect(code).toBe(1);
});

test('a project with tests and no result fails the run, even if an earlier run left one', async () => {
  checkout.write('libs/two/.jest-results.json', result('two', ['passed', 'of yesterday']));
  const { code, lines } = await report({ one: result('one', ['passed', 'a']) });
  expect(lines).toEqual(['failed: libs/two/src/two.test.ts has no result', '1 passed, 1 failed, 0 skipped']);
  expect(code).toBe(1);
});

test.each([
  ['cut off', result('two', ['passed', 'b']).slice(0, -20)],
  ['empty', ''],
  ['of another kind', '{"testResults":null}'],
  ['of other files', result('one', ['passed', 'a'])],
])('results that are %s count as failed, though what made them ended well', async (_, two) => {
  const { code, lines } = await report({ one: result('one', ['passed', 'a']), two });
  expect(lines).toEqual(['failed: libs/two/src/two.test.ts has no result', '1 passed, 1 failed, 0 skipped']);
  expect(code).toBe(1);
});

test('a file that failed beside its tests counts as failed', async () => {
  const two = result('two', ['passed', 'b']).replace('"status":"passed"', '"status":"failed"');
  const { lines } = await report({ one: result('one', ['passed', 'a']), two });
  expect(lines).toEqual(['failed: libs/two: two.test.ts could not be run', '2 passed, 1 failed, 0 skipped']);
});

test('long tests have a run of their own, and are missed by no other', async () => {
  checkout.write('libs/two/src/kills.long.test.ts', '');
  const quick = { one: result('one', ['passed', 'a']), two: result('two', ['passed', 'b']) };
  expect((await report(quick)).lines).toEqual(['2 passed, 0 failed, 0 skipped']);
  checkout.write('node_modules/jest/bin/jest.js', '');
  const long = await checkout.run('test.mjs', ['--long']);
  expect(long.stdout.trim().split('\n')).toEqual([
    'failed: libs/two/src/kills.long.test.ts has no result',
    '0 passed, 1 failed, 0 skipped',
  ]);
  const written = JSON.stringify({
    testResults: [
      {
        name: '/x/libs/two/src/kills.long.test.ts',
        status: 'passed',
        assertionResults: [{ status: 'passed', fullName: 'c' }],
      },
    ],
  });
  checkout.write(
    'node_modules/jest/bin/jest.js',
    `require('node:fs').writeFileSync(process.env.JEST_RESULTS_FILE, ${JSON.stringify(written)})`,
  );
  expect(await checkout.run('test.mjs', ['--long'])).toMatchObject({
    code: 0,
    stdout: '\n1 passed, 0 failed, 0 skipped\n',
  });
  const total = await checkout.run('test.mjs', ['--total', 'the soak (exit code 1)']);
  expect(total).toMatchObject({
    code: 1,
    stdout: '\nfailed: the soak (exit code 1)\n3 passed, 1 failed, 0 skipped\n',
  });
});

test('a test counts once, in a directory that is called like a project too', async () => {
  checkout.write('libs/two/src/kills.long.test.ts', '');
  const name = '/home/me/libs/one/penstock/libs/two/src/kills.long.test.ts';
  const assertionResults = [{ status: 'passed', fullName: 'c' }];
  const written = JSON.stringify({ testResults: [{ name, status: 'passed', assertionResults }] });
  checkout.write(
    'node_modules/jest/bin/jest.js',
    `require('node:fs').writeFileSync(process.env.JEST_RESULTS_FILE, ${JSON.stringify(written)})`,
  );
  const { stdout } = await checkout.run('test.mjs', ['--long']);
  expect(stdout).toBe('\n1 passed, 0 failed, 0 skipped\n');
});

test('long tests that were not asked for need no result', async () => {
  checkout.write('libs/two/src/kills.long.test.ts', '');
  checkout.write('libs/two/src/cuts.long.test.ts', '');
  // As Jest does: lists what it would run, and runs it.
  checkout.write(
    'node_modules/jest/bin/jest.js',
    `const name = process.cwd() + '/libs/two/src/cuts.long.test.ts';
     const assertionResults = [{ status: 'passed', fullName: 'c' }];
     if (process.argv.includes('--listTests')) console.log(name);
     else if (process.env.DIES !== '1')
       require('node:fs').writeFileSync(process.env.JEST_RESULTS_FILE, JSON.stringify({ testResults: [{ name, status: 'passed', assertionResults }] }));`,
  );
  const done = await checkout.run('test.mjs', ['--long', 'cuts']);
  expect(done).toMatchObject({ code: 0, stdout: '\n1 passed, 0 failed, 0 skipped\n' });
  const died = await checkout.run('test.mjs', ['--long', 'cuts'], { DIES: '1' });
  expect(died).toMatchObject({
    code: 1,
    stdout: '\nfailed: libs/two/src/cuts.long.test.ts has no result\n0 passed, 1 failed, 0 skipped\n',
  });
});

test('a project that was not asked for needs no result', async () => {
  const { code, lines } = await report({ one: result('one', ['passed', 'a']) }, {}, ['-p', 'one']);
  expect({ code, lines }).toEqual({ code: 0, lines: ['1 passed, 0 failed, 0 skipped'] });
});

test('a failed build fails the run though every test passed, and is not hidden by a line that counts none', async () => {
  const { code, lines } = await report(
    { one: result('one', ['passed', 'a']), two: result('two', ['passed', 'b']) },
    { CODE: '1' },
  );
  expect(lines).toEqual(['failed: the run, beside its tests: see above', '2 passed, 1 failed, 0 skipped']);
  expect(code).toBe(1);
});

test.each([
  ['all ends well', 'exit 0', 0, ['2 passed, 0 failed, 0 skipped']],
  [
    'the soak fails',
    'case "$*" in *soak*) exit 1;; esac',
    1,
    ['failed: npm run soak -- --trials 2 (exit code 1)', '2 passed, 1 failed, 0 skipped'],
  ],
  [
    'npm cannot even install',
    'rm -f libs/*/.jest-results.json; exit 1',
    1,
    [
      'failed: libs/one/src/one.test.ts has no result',
      'failed: libs/two/src/two.test.ts has no result',
      'failed: npm test (exit code 1)',
      'failed: npm run test:long (exit code 1)',
      'failed: npm run soak -- --trials 2 (exit code 1)',
      '0 passed, 5 failed, 0 skipped',
    ],
  ],
])('.ci/run ends with one line of all that it ran: %s', async (_, then, code, lines) => {
  checkout.write('.ci/run', readFileSync(new URL('../../.ci/run', import.meta.url), 'utf8'));
  const results = { one: result('one', ['passed', 'a']), two: result('two', ['passed', 'b']) };
  for (const [name, text] of Object.entries(results)) checkout.write(`made/${name}`, text);
  const make = `for name in one two; do cp made/$name libs/$name/.jest-results.json; done`;
  checkout.program('npm', `[ "$1" = test ] && { ${make}; }; ${then}`);
  const env = { ...process.env, PATH: `${checkout.root}/bin:${process.env['PATH']}` };
  const end = await ended(spawn('bash', [`${checkout.root}/.ci/run`], { env, stdio: ['ignore', 'pipe', 'pipe'] }));
  expect({ code: end.code, lines: end.stdout.trim().split('\n') }).toEqual({ code, lines });
});
