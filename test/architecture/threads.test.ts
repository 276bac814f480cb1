/** The threads that the rooms start are theirs: what a program preloads does not run in them. */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';

const repository = fileURLToPath(new URL('../..', import.meta.url));

/** A thread is made here; BullMQ's workers are none. */
const STARTS = /\bnew\s+(?:Worker|Piscina)\s*\(/g;
/** An environment of its own: `env: {…}`, or `env` for short. */
const OWN = [/\bexecArgv: \[\]/, /\benv(?:: \{|\b(?!:))/];

/** What stands between the parentheses that open before `from`. */
function argumentsAt(source: string, from: number): string {
  let depth = 1;
  let end = from;
  for (; end < source.length && depth > 0; end += 1) {
    if (source[end] === '(') depth += 1;
    if (source[end] === ')') depth -= 1;
  }
  return source.slice(from, end);
}

/** The calls in `source` that start a thread with the options of the program. */
function inheriting(source: string): string[] {
  if (source.includes("'bullmq'") && !source.includes('node:worker_threads')) return [];
  return [...source.matchAll(STARTS)]
    .map((start) => argumentsAt(source, start.index + start[0].length))
    .filter((text) => !OWN.every((part) => part.test(text)));
}

function sourcesOf(group: string): string[] {
  return readdirSync(join(repository, group), { recursive: true, encoding: 'utf8' })
    .filter((name) => /^[^/]+\/src\/.*\.ts$/.test(name) && !/\.(?:test|fixture)\.ts$/.test(name))
    .map((name) => join(group, name));
}

test('every thread has execArgv and an environment of its own', () => {
  const files = ['apps', 'libs', 'workers'].flatMap(sourcesOf);
  const starting = files.filter((file) => readFileSync(join(repository, file), 'utf8').search(STARTS) >= 0);
  expect(starting).toEqual(
    expect.arrayContaining([
      'libs/digest/src/thread.ts',
      'workers/fetcher/src/fetcher.ts',
      'workers/writer/src/pool/options.ts',
    ]),
  );
  expect(starting.filter((file) => inheriting(readFileSync(join(repository, file), 'utf8')).length > 0)).toEqual([]);
});

test.each([
  'new Worker(entry, { workerData: f(1) });',
  'new Worker(entry, { execArgv: [] });',
  'new Piscina({ env: {} }); f({ execArgv: [] });',
])('%s would be found', (source) => {
  expect(inheriting(source)).toHaveLength(1);
});
