import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { existingFile, targetFile } from './paths.ts';

let directory: string;
const at = (name: string): string => join(directory, name);
beforeEach(() => {
  directory = realpathSync(mkdtempSync(join(tmpdir(), 'penstock-paths-')));
  mkdirSync(at('real'));
  symlinkSync('real', at('link'));
  writeFileSync(at('real/file'), '');
  symlinkSync('../real/file', at('real/to-file'));
  symlinkSync('nothing', at('real/to-nothing'));
  symlinkSync('loop', at('loop'));
});
afterEach(() => rmSync(directory, { recursive: true }));

test('a path is taken as fs takes it: a string from the current directory, a URL, a Buffer', async () => {
  const file = at('real/new');
  expect(await targetFile(relative(process.cwd(), file), false)).toBe(file);
  expect(await targetFile(pathToFileURL(file), false)).toBe(file);
  expect(await targetFile(Buffer.from(file), false)).toBe(file);
});

test('what text cannot name is refused, and no file of another name is written in its stead', async () => {
  await expect(targetFile(Buffer.from([...Buffer.from(at('real/')), 0xff]), false)).rejects.toThrow(/^path: .*UTF-8/);
  await expect(targetFile(undefined as never, false)).rejects.toThrow(/^path: "undefined" is not accepted/);
});

test('links are followed to the file that is written, also where it does not exist yet', async () => {
  expect(await targetFile(at('link/new'), false)).toBe(at('real/new'));
  expect(await targetFile(at('real/to-file'), false)).toBe(at('real/file'));
  expect(await targetFile(at('link/to-nothing'), false)).toBe(at('real/nothing'));
  expect(await existingFile(at('link/to-file'))).toBe(at('real/file'));
});

test('".." behind a link leads where the kernel says, not where the letters say', async () => {
  mkdirSync(at('real/deep'));
  symlinkSync('real/deep', at('deep'));
  expect(await targetFile(`${at('deep')}/../new`, false)).toBe(at('real/new'));
});

test('what cannot be is told as fs tells it, naming call and path', async () => {
  const io = { name: 'IoError' };
  await expect(targetFile(at('absent/new'), false)).rejects.toMatchObject({
    ...io,
    code: 'ENOENT',
    path: at('absent'),
  });
  await expect(targetFile(`${at('real/new')}/`, false)).rejects.toMatchObject({ ...io, code: 'EISDIR' });
  await expect(targetFile(at('loop'), false)).rejects.toMatchObject({ ...io, code: 'ELOOP' });
  await expect(targetFile('a\0b', false)).rejects.toMatchObject({ ...io, code: 'EINVAL' });
  await expect(existingFile(at('absent'))).rejects.toMatchObject({ ...io, code: 'ENOENT', syscall: 'realpath' });
});

test('directories that are to be made are named, below those that are there', async () => {
  expect(await targetFile(at('link/a/b/new'), true)).toBe(at('real/a/b/new'));
});
