/** What others wrote reaches a terminal as text: reasons, paths, names of files, arguments. */
import { mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { afterAll, expect, test } from '@jest/globals';
import { Cli } from '../cli.fixture.ts';

const cli = new Cli();
afterAll(() => cli.close());

const HOSTILE = 'x\u001B[2J\u009B1m\u007F\u202E\npenstock: all is well';
/** All that a terminal may obey, ends of lines excepted. */
const OBEYED = /[^\P{Cc}\n]|[\p{Cf}\p{Zl}\p{Zp}]/u;

test('a path, a cancel’s reason and a failed job are told without what a terminal would obey', async () => {
  const enqueued = await cli.run('enqueue', `a${HOSTILE}.bin`, '--size', '1', '--job-id', 'mine');
  expect(enqueued.code).toBe(0);
  const cancelled = await cli.run('cancel', 'mine', '--why', HOSTILE);
  expect(cancelled.code).toBe(0);
  const [text, json] = await Promise.all([cli.run('watch', 'mine'), cli.run('watch', 'mine', '--json')]);
  expect(text).toMatchObject({ code: 1, stdout: '' });
  expect(text.stderr).toContain(String.raw`x\u{1b}[2J\u{9b}1m\u{7f}\u{202e}`);
  expect(JSON.parse(json.stdout)).toMatchObject({ ok: false, error: { code: 'ECANCELED', why: HOSTILE } });
  for (const said of [enqueued, cancelled, text, json]) {
    expect(said.stdout + said.stderr).not.toMatch(OBEYED);
    // A reason of two lines has two lines, of which the second is no message of ours.
    expect(said.stderr).not.toMatch(/^penstock: all is well/m);
  }
});

test('doctor names partial files without what a terminal would obey', async () => {
  mkdirSync(cli.file(''), { recursive: true });
  const part = cli.file(`.penstock-${HOSTILE}\u0001.part`);
  writeFileSync(part, '');
  utimesSync(part, 1, 1);
  const { stdout, stderr } = await cli.run('doctor');
  // A long path breaks the name over two lines of its cell.
  expect(stdout.replaceAll(/\s*│\n│\s*│\s*│ /g, '')).toContain(String.raw`.penstock-x\u{1b}[2J`);
  expect(stdout + stderr).not.toMatch(OBEYED);
});

test('what stood on the command line is repeated without what a terminal would obey', async () => {
  for (const args of [
    [`--${HOSTILE}`],
    ['watch', HOSTILE],
    ['write', 'a', '--size', HOSTILE],
    ['host', `--${HOSTILE}`],
  ]) {
    const { code, stdout, stderr } = await cli.run(...args);
    expect(code).toBe(2);
    expect(stderr).toContain(String.raw`x\u{1b}[2J`);
    expect(stdout + stderr).not.toMatch(OBEYED);
    expect(stderr).not.toMatch(/^penstock: all is well/m);
  }
});
