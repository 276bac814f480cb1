import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CLASS_FIELDS_MAX, FILE_LINES_MAX, FOLDER_FILES_MAX, findOutgrown, privateFieldsIn } from './sizes.ts';

const repository = fileURLToPath(new URL('../..', import.meta.url));

const rooms = ['config', ...['libs', 'workers', 'apps'].flatMap(below)];

function below(group: string): string[] {
  return readdirSync(join(repository, group))
    .map((name) => join(group, name))
    .filter((room) => existsSync(join(repository, room, 'src')));
}

test('no product file, folder or class of this repository has outgrown the house', () => {
  expect(rooms).toEqual(expect.arrayContaining(['apps/host', 'config', 'libs/sink', 'workers/writer']));
  expect(findOutgrown(repository, rooms)).toEqual([]);
});

let tree: string;
beforeEach(() => {
  tree = mkdtempSync(join(tmpdir(), 'sizes-'));
  mkdirSync(join(tree, 'room/src'), { recursive: true });
});
afterEach(() => rmSync(tree, { recursive: true, force: true }));

test('a file with a line too many is found, and its test may have as many as it likes', () => {
  writeFileSync(join(tree, 'room/src/long.ts'), '//\n'.repeat(FILE_LINES_MAX + 1));
  writeFileSync(join(tree, 'room/src/long.test.ts'), '//\n'.repeat(FILE_LINES_MAX + 1));
  writeFileSync(join(tree, 'room/src/full.ts'), '//\n'.repeat(FILE_LINES_MAX));
  expect(findOutgrown(tree, ['room'])).toEqual(['room/src/long.ts has 401 lines, at most 400']);
});

test('a folder with a file too many is found', () => {
  for (let index = 0; index <= FOLDER_FILES_MAX; index += 1) writeFileSync(join(tree, `room/src/${index}.ts`), '');
  expect(findOutgrown(tree, ['room'])).toEqual(['room/src holds 15 files, at most 14']);
});

test('a class with a private field too many is found', () => {
  const fields = Array.from({ length: CLASS_FIELDS_MAX + 1 }, (_, index) => `  readonly #field${index} = 0;\n`);
  writeFileSync(join(tree, 'room/src/wide.ts'), `export class Wide {\n${fields.join('')}}\n`);
  expect(findOutgrown(tree, ['room'])).toEqual(['room/src/wide.ts: Wide has 21 private fields, at most 20']);
});

test('methods, accessors and what stands inside them are no fields', () => {
  const source = `
class Small {
  #plain = 0;
  #bare;
  static readonly #shared: Map<string, number> = new Map();
  #late!: number;
  #method(): number {
    this.#plain = 1;
    return this.#plain;
  }
  get #seen(): boolean {
    return true;
  }
}

const after = { #not: 1 };
`;
  expect([...privateFieldsIn(source)]).toEqual([['Small', 4]]);
});
