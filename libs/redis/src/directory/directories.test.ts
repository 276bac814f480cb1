import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { makeDirectories } from './directories.ts';

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'directories-'));
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

test('makes what is missing, and leaves what is there', () => {
  makeDirectories(join(home, 'a/b/c'));
  makeDirectories(join(home, 'a/b/c'));
  expect(statSync(join(home, 'a/b/c')).isDirectory()).toBe(true);
});

test.each(['/proc/penstock', '/proc/penstock/deep/er'])('below /proc it fails at once: %s', (directory) => {
  expect(() => makeDirectories(directory)).toThrow(/ENOENT/);
});

test('a file in the way is reported', () => {
  writeFileSync(join(home, 'file'), '');
  expect(() => makeDirectories(join(home, 'file'))).toThrow(/EEXIST/);
  expect(() => makeDirectories(join(home, 'file/a/b'))).toThrow(/ENOTDIR/);
});
