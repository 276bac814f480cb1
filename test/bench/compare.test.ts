import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, watch, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildCommit } from './compare.ts';

const MAKES_PROGRAMS = 'for app in host cli; do mkdir -p apps/$app/dist && touch apps/$app/dist/main.js; done';

let repository: string;
let scratch: string;
beforeEach(() => {
  repository = mkdtempSync(join(tmpdir(), 'penstock-compare-'));
  scratch = join(repository, '.scratch');
  git('init', '--quiet');
});
afterEach(() => rmSync(repository, { recursive: true, force: true }));

const git = (...args: string[]): string =>
  execFileSync('git', ['-c', 'user.name=test', '-c', 'user.email=test@test', ...args], {
    cwd: repository,
    encoding: 'utf8',
  }).trim();

/** A commit whose `npm run build` does this. */
function commit(build: string): string {
  writeFileSync(join(repository, 'package.json'), JSON.stringify({ name: 'made', scripts: { build } }));
  git('add', 'package.json');
  git('commit', '--quiet', '--allow-empty-message', '--message', '');
  return git('rev-parse', '--short', 'HEAD');
}

test('a commit is built as it was, in a folder that goes away', async () => {
  const earlier = commit(MAKES_PROGRAMS);
  commit('exit 1');
  const built = await buildCommit(repository, 'HEAD~1', scratch);
  expect(built.name).toBe(`the build of ${earlier}`);
  for (const program of Object.values(built.build)) expect(existsSync(program)).toBe(true);
  expect(readdirSync(scratch)).toHaveLength(1);
  built.remove();
  expect(readdirSync(scratch)).toEqual([]);
});

test('a commit that is not there is refused by its name, and nothing is made', async () => {
  commit(MAKES_PROGRAMS);
  await expect(buildCommit(repository, 'no-such', scratch)).rejects.toThrow(
    `--compare no-such: there is no such commit in ${repository}`,
  );
  expect(existsSync(scratch)).toBe(false);
});

test('of a commit that does not build it is said what failed, and its folder is removed', async () => {
  const name = commit('echo the compiler is not happy >&2; exit 3');
  await expect(buildCommit(repository, 'HEAD', scratch)).rejects.toThrow(
    new RegExp(`--compare HEAD: ${name} does not build:[^]*the compiler is not happy`),
  );
  expect(readdirSync(scratch)).toEqual([]);
});

test('a commit that builds no host is none to compare with', async () => {
  commit('true');
  await expect(buildCommit(repository, 'HEAD', scratch)).rejects.toThrow('there is no ');
  expect(readdirSync(scratch)).toEqual([]);
});

test('one that is stopped while it builds leaves neither a folder nor a process', async () => {
  const started = join(repository, 'started');
  commit(`echo $$ > ${started} && sleep 60`);
  const stopping = new AbortController();
  const watching = watch(repository, (_, name) => {
    if (name === 'started' && readFileSync(started, 'utf8').endsWith('\n')) stopping.abort();
  });
  try {
    await expect(buildCommit(repository, 'HEAD', scratch, stopping.signal)).rejects.toThrow('it was stopped');
  } finally {
    watching.close();
  }
  expect(readdirSync(scratch)).toEqual([]);
  const stat = `/proc/${readFileSync(started, 'utf8').trim()}/stat`;
  // One that has ended may still be there by name, until its new parent asks for how it ended.
  expect(existsSync(stat) ? readFileSync(stat, 'utf8') : ') Z').toContain(') Z');
});
