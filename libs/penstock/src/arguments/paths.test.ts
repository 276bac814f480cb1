import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { constants, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { existingFile, findTarget } from './paths.ts';

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

const targetFile = async (...asked: Parameters<typeof findTarget>): Promise<string> =>
  (await findTarget(...asked)).file;

test('a path is taken as fs takes it: a string from the current directory, a URL, a Buffer', async () => {
  const file = at('real/new');
  expect(await targetFile(relative(process.cwd(), file), false)).toBe(file);
  expect(await targetFile(pathToFileURL(file), false)).toBe(file);
  expect(await targetFile(Buffer.from(file), false)).toBe(file);
});

test('what text cannot name is refused, and no file of another name is written in its stead', async () => {
  const noText = Buffer.from([...Buffer.from(at('real/')), 0xff]);
  await expect(targetFile(noText, false)).rejects.toThrow(/^The argument 'path' must hold UTF-8/);
  await expect(targetFile(undefined as never, false)).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
  await expect(targetFile('a\0b', false)).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' });
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

test('what cannot be opened is told as fs.open() tells it: code, call, errno, and the path as it was given', async () => {
  const long = 'n'.repeat(256);
  const paths = [
    at('absent/new'),
    `${at('absent')}/`,
    at('loop'),
    '',
    at(long),
    at('x/'.repeat(2100)),
    'no/such/place',
  ];
  for (const path of paths) {
    const { code, errno, syscall, message } = (await open(path, 'w').catch(
      (error: unknown) => error,
    )) as NodeJS.ErrnoException;
    const start = message.split(/(?<=,) /)[1]; // from the call on
    const refused = await targetFile(path, false).catch((error: unknown) => error);
    expect(refused).toMatchObject({ name: 'IoError', code, errno, syscall, path });
    expect((refused as Error).message).toContain(start);
  }
  await expect(existingFile(at('absent'))).rejects.toMatchObject({ name: 'IoError', code: 'ENOENT' });
});

test('what is no regular file is refused by its name and kind, also behind a link of /proc', async () => {
  execFileSync('mkfifo', [at('fifo')]);
  const server = createServer().listen(at('socket'));
  await once(server, 'listening');
  const pipe = await open(at('fifo'), constants.O_RDWR);
  const gone = await open(at('gone'), 'w');
  rmSync(at('gone'));
  const ofProcess = `/proc/self/fd/${pipe.fd}`;
  await expect(targetFile(at('fifo'), false)).rejects.toThrow(`path: "${at('fifo')}" is a pipe: give a regular file`);
  await expect(targetFile(ofProcess, false)).rejects.toThrow(`path: "${ofProcess}" is a pipe`);
  await expect(targetFile(at('socket'), false)).rejects.toThrow(/ is a socket/);
  await expect(targetFile('/dev/null', false)).rejects.toThrow(/ is a character device/);
  // Its name would be a file that is called "gone (deleted)".
  await expect(targetFile(`/proc/self/fd/${gone.fd}`, false)).rejects.toMatchObject({
    code: 'ENOENT',
    syscall: 'open',
  });
  await Promise.all([pipe.close(), gone.close()]);
  await new Promise((resolve) => {
    server.close(resolve);
  });
});

test('directories that are to be made are named, below those that are there', async () => {
  expect(await targetFile(at('link/a/b/new'), true)).toBe(at('real/a/b/new'));
});
