import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findViolations, foldersOf, importsIn } from './rooms.ts';

const repository = fileURLToPath(new URL('../..', import.meta.url));

let tree: string;

function write(file: string, text: string): void {
  mkdirSync(dirname(join(tree, file)), { recursive: true });
  writeFileSync(join(tree, file), text);
}

/** A room of the made-up tree that declares and references what it is given here, right or not. */
function writeRoom(folder: string, dependencies: string[] = [], references: string[] = []): void {
  write(
    `${folder}/package.json`,
    JSON.stringify({ dependencies: Object.fromEntries(dependencies.map((name) => [name, '*'])) }),
  );
  write(`${folder}/tsconfig.json`, JSON.stringify({ references: references.map((path) => ({ path })) }));
}

beforeEach(() => {
  tree = mkdtempSync(join(tmpdir(), 'rooms-'));
  write('package.json', JSON.stringify({ devDependencies: { '@jest/globals': '*' } }));
  writeRoom('libs/contract', ['zod']);
  writeRoom('libs/aio', ['@penstock/contract', 'koffi'], ['../contract']);
  writeRoom('libs/queue', ['@penstock/contract', 'bullmq'], ['../contract']);
  writeRoom('apps/host', ['@penstock/queue', '@penstock/gateway'], ['../../libs/queue', '../gateway']);
  writeRoom('apps/gateway');
  writeRoom('libs/sources');
  writeRoom('libs/sink');
});

afterEach(() => rmSync(tree, { recursive: true, force: true }));

test('this repository keeps its import directions and boundaries', () => {
  expect(findViolations(repository)).toEqual([]);
});

test('every folder and file that the order of a room names is there', () => {
  const missing = Object.entries(foldersOf).flatMap(([room, order]) =>
    order.map((level) => join(room, 'src', level)).filter((path) => !existsSync(join(repository, path))),
  );
  expect(missing).toEqual([]);
});

test('a tree that keeps them has no violation', () => {
  write('libs/contract/src/index.ts', `import { z } from 'zod';\nexport * from './request.ts';`);
  write('libs/native/src/libc.ts', `import koffi from 'koffi';\nimport type { IoError } from '@penstock/contract';`);
  write('libs/queue/src/queue.test.ts', `import { test } from '@jest/globals';\nprocess.env['TZ'] = 'UTC';`);
  write('apps/host/src/main.ts', `import { WriteWorker } from '@penstock/queue';\nconst { env } = process;`);
  write('libs/sources/src/index.ts', `export * from './patterns/a.ts';`);
  write('libs/sources/src/source.ts', `export type Source = () => void;`);
  write('libs/sources/src/patterns/a.ts', `import type { Source } from '../source.ts';\nimport './b.ts';`);
  write('libs/sources/src/patterns/a.test.ts', `import '../index.ts';\nimport './a.ts';`);
  expect(findViolations(tree)).toEqual([]);
});

test.each([
  [
    'an import against the direction',
    'libs/contract/src/a.ts',
    `import { x } from '@penstock/aio';`,
    'libs/contract may import no room',
  ],
  [
    'a type imported against the direction',
    'libs/queue/src/a.ts',
    `export type {\n  X,\n} from '@penstock/aio';`,
    'libs/queue may import contract',
  ],
  [
    'an app imported by an app',
    'apps/host/src/a.ts',
    `await import('@penstock/gateway');`,
    'imports @penstock/gateway: apps/host may import',
  ],
  [
    'koffi outside its file',
    'libs/aio/src/engine.ts',
    `import koffi from 'koffi';`,
    'libs/native/src/libc.ts alone does',
  ],
  [
    'a package that is not declared',
    'libs/queue/src/a.ts',
    `import Redis from 'ioredis';`,
    'imports ioredis, which its package.json does not name',
  ],
  [
    'a test package outside tests',
    'libs/queue/src/a.ts',
    `import { expect } from '@jest/globals';`,
    'imports @jest/globals',
  ],
  ['a way around the name', 'libs/queue/src/a.ts', `import { x } from '../../aio/src/engine.ts';`, 'leaves its room'],
  [
    'a room that is not referenced',
    'libs/contract/src/a.ts',
    `import '@penstock/queue';`,
    'tsconfig.json does not reference',
  ],
  ['a room that is not there', 'libs/aio/src/a.ts', `import '@penstock/utils/deep';`, 'which is no room'],
  [
    'a library that reads the environment',
    'libs/queue/src/a.ts',
    `const url = process.env['REDIS'];`,
    'reads process.env',
  ],
  [
    'a library that imports the environment',
    'libs/queue/src/a.ts',
    `import { env } from 'node:process';`,
    'reads process.env',
  ],
  [
    'a folder that imports one above it',
    'libs/sink/src/attempt/a.ts',
    `import { x } from '../bulk/b.ts';`,
    "libs/sink: src/attempt/a.ts imports src/bulk/b.ts: attempt is below bulk in the order of the room's folders",
  ],
  [
    'a folder that imports a type from one above it',
    'libs/sink/src/attempt/a.ts',
    `import type { X } from '../bulk/b.ts';`,
    'src/attempt/a.ts imports src/bulk/b.ts',
  ],
  [
    'a folder that imports the entrance of its room',
    'libs/sink/src/bulk/a.ts',
    `import { x } from '../index.ts';`,
    'libs/sink: src/bulk/a.ts imports src/index.ts: bulk is below what stands beside the folders',
  ],
  [
    'a file beside the folders that imports one above it',
    'libs/sources/src/source.ts',
    `import { x } from './patterns/a.ts';`,
    'libs/sources: src/source.ts imports src/patterns/a.ts: source.ts is below patterns',
  ],
  [
    'a folder without a place',
    'libs/sink/src/bulk/deep/a.ts',
    ``,
    "libs/sink: src/bulk/deep/a.ts is in the folder bulk/deep, which is not in the order of the room's folders",
  ],
  [
    'a folder of a room without any order',
    'apps/gateway/src/deep/a.ts',
    ``,
    'apps/gateway: src/deep/a.ts is in the folder deep',
  ],
  ['a room without a rule', 'libs/extra/package.json', `{}`, 'libs/extra is a room of which no direction is known'],
])('%s is found', (_, file, text, complaint) => {
  write(file, text);
  expect(findViolations(tree).join('\n')).toContain(complaint);
});

test('a circle of files is found, whether by types or not, and its path is named', () => {
  write('libs/queue/src/a.ts', `import './b.ts';`);
  write('libs/queue/src/b.ts', `export { c } from './c.ts';`);
  write('libs/queue/src/c.ts', `import type { B } from './b.ts';`);
  write('libs/queue/test/d.ts', `import type { E } from '../src/e.ts';`);
  write('libs/queue/src/e.ts', `await import('../test/d.ts');`);
  const circle = 'libs/queue: files import one another in a circle: ';
  expect(findViolations(tree).toSorted()).toEqual([
    `${circle}src/b.ts > src/c.ts > src/b.ts`,
    expect.stringMatching(/: (?:src\/e\.ts > test\/d\.ts > src\/e\.ts|test\/d\.ts > src\/e\.ts > test\/d\.ts)$/),
  ]);
});

test('imports in comments do not count, and a comment sign in a string hides none', () => {
  const source = `
    // import 'a';
    /* import 'b'; */
    const url = 'http://x'; const again = "/*"; import('c');
    export { d } from "d"; import type { E } from 'e'; import 'f';
  `;
  expect(importsIn(source)).toEqual(['c', 'd', 'e', 'f']);
});
