import { once } from 'node:events';
import fs, { constants, createWriteStream, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Bench } from '../bench.fixture.ts';
import type { FileWriteStream } from './write-stream.ts';
import { openWriter, type Writer } from '../writer.ts';

const { O_APPEND, O_CREAT, O_EXCL, O_RDWR, O_TRUNC, O_WRONLY } = constants;

let bench: Bench;
let writer: Writer;
beforeEach(async () => {
  bench = new Bench();
  writer = await bench.open();
});
afterEach(async () => {
  expect(await bench.clear()).toEqual([]);
});

/** Of fs and of ours: arguments as a program would pass them, right or wrong. */
type Create = (path: unknown, options?: unknown) => FileWriteStream;
const ofNode: Create = (path, options) => createWriteStream(path as string, options as never) as never;
const ours: Create = (path, options) => writer.createWriteStream(path as string, options as never);

const said = (error: unknown): object => {
  const { name, code, message } = error as NodeJS.ErrnoException;
  return { name, code, message };
};

/** What is thrown where the call stands; null if nothing is. */
function thrown(create: Create, path: unknown, options: unknown): object | null {
  try {
    create(path, options)
      .destroy()
      .on('error', () => {});
    return null;
  } catch (error) {
    return said(error);
  }
}

const OWN_FS = { open: fs.open, write: fs.write, close: fs.close };

/** Where fs opens a file all the same before it throws, as of an encoding, that leaves none. */
const NOWHERE = '/dev/null';

/** The path and the options of each; what fs throws at once. */
const REFUSED: [unknown, unknown?][] = [
  ...[46, null, undefined, {}, [], true, 3n, Symbol('a'), () => {}, new Map(), Object.create(null)].map(
    (path): [unknown] => [path],
  ),
  ['a\0b'],
  [Buffer.from('a\0b')],
  ...['http://x/y', 'file://host/x', 'file:///a%2Fb', 'file:///a%00b', 'data:,a'].map((url): [unknown] => [
    new URL(url),
  ]),
  ...[123, 0, true, false, 5n].map((options): [unknown, unknown] => [NOWHERE, options]),
  [NOWHERE, 'bogus'],
  ...[
    ...[-5, 2 ** 53, 1.5, '4', null, Number.NaN, 3n, 2 ** 40 + 0.5].map((start) => ({ flags: 'r+', start })),
    ...['true', '', 0, 1, [], {}, Symbol('a')].map((flush) => ({ flush })),
    ...[-1, 'a', Number.NaN, 1.5].map((highWaterMark) => ({ highWaterMark })),
    ...['bogus', 5, 'buffer'].map((encoding) => ({ encoding })),
    ...['bogus', 5, ''].map((defaultEncoding) => ({ defaultEncoding })),
    ...[null, 'x', {}, 5].map((signal) => ({ signal })),
    ...['k', -1, 1.5, {}, 2 ** 31].map((fd) => ({ fd })),
    { fs: {} },
    { fs: { ...OWN_FS, open: null } },
    { fs: { ...OWN_FS, close: 5 } },
    { fs: { ...OWN_FS, write: null } },
    { fs: { ...OWN_FS, writev: 'not a function' } },
  ].map((options): [unknown, unknown] => [NOWHERE, options]),
];

test('arguments that fs refuses at once are refused at once, by the same error', () => {
  for (const [path, options] of REFUSED) {
    const expected = thrown(ofNode, path, options);
    expect(expected).not.toBeNull();
    expect(thrown(ours, path, options)).toEqual(expected);
  }
});

test('flags and modes that fs refuses by an event are refused at once, by the same error', async () => {
  const refused = [
    ...['0o600', '68', '', 'rwx', -1, 1.5, 2 ** 32, {}, 3n].map((mode) => ({ mode })),
    ...['q', '', 'sw', 'W', 5.5, 2 ** 31, {}, true].map((flags) => ({ flags })),
  ];
  for (const options of refused) {
    const [refusal] = await once(ofNode(bench.path('a'), options), 'error');
    expect(thrown(ours, bench.path('a'), options)).toEqual(said(refusal));
  }
  expect(bench.names()).toEqual([]);
});

test('what a stream of fs could do and this one cannot is refused at once by its name', async () => {
  const handle = await open(bench.path('open'), 'w');
  const cases: [object, string][] = [
    [{ fd: 1 }, 'options.fd'],
    [{ fd: handle }, 'options.fd'],
    [{ fs: { ...OWN_FS, write: () => {} } }, 'options.fs'],
    [{ flags: 'r' }, 'flags'],
    [{ start: 10 }, 'start'],
  ];
  for (const [options, name] of cases) {
    expect(thrown(ours, bench.path('a'), options)).toMatchObject({
      code: 'ERR_INVALID_ARG_VALUE',
      message: expect.stringContaining(`'${name}'`),
    });
  }
  await handle.close();
  expect(bench.names()).toEqual(['open']);
});

test('an option that fs has not is refused at once too', () => {
  const refusals: [object, string][] = [
    [{ durability: 'perhaps' }, 'durability'],
    [{ checksum: 'md5' }, 'checksum'],
    [{ size: 'much' }, 'size'],
    [{ matrix: { rows: 0 } }, 'matrix.rows'],
    [{ limit: { bytesPerSecond: -1 } }, 'limit.bytesPerSecond'],
  ];
  for (const [options, field] of refusals) {
    const refusal = expect.objectContaining({ name: 'RequestError', field });
    expect(() => writer.createWriteStream(bench.path('a'), options)).toThrow(refusal);
  }
});

test('what may be left out may be null', async () => {
  const absent = { mode: null, fd: null, fs: null, flush: null, encoding: null, highWaterMark: null, onProgress: null };
  const closing = { autoClose: null, emitClose: null };
  for (const options of [null, undefined, 'utf8', () => {}, absent, closing, { fs }]) {
    const stream = ours(bench.path('a'), options);
    expect([stream.fd, stream.flags, stream.mode]).toEqual([null, 'w', 0o666]);
    await new Promise<void>((resolve, reject) => {
      stream.on('close', resolve).on('error', reject).end('written');
    });
    expect(bench.read('a').toString()).toBe('written');
  }
});

/** The file after the stream has written two bytes, and its permissions; the code of what it was refused with. */
async function made(create: Create, name: string, options: object): Promise<string> {
  const stream = create(bench.path(name), options);
  const error = await new Promise<NodeJS.ErrnoException | null>((resolve) => {
    stream.on('error', resolve).on('close', () => resolve(null));
    stream.end('AB');
  });
  if (error !== null) return `${error.code}, ${error.syscall} ${error.path?.replace(bench.directory, '')}`;
  const permissions = statSync(bench.path(name)).mode & 0o7777;
  fs.chmodSync(bench.path(name), 0o600); // else an ordinary user could not read every one of them
  return `${bench.read(name).toString()} ${permissions.toString(8)}`;
}

test('numbers as flags make of a file that is there, and of one that is not, what fs makes of them', async () => {
  const numbers = [0, O_APPEND, O_TRUNC, O_APPEND | O_TRUNC].flatMap((how) =>
    [0, O_CREAT, O_EXCL, O_CREAT | O_EXCL].flatMap((making) => [O_WRONLY | how | making, O_RDWR | how | making]),
  );
  for (const flags of numbers) {
    for (const name of ['there', 'absent']) {
      const outcomes = [];
      for (const create of [ofNode, ours]) {
        fs.rmSync(bench.path(name), { force: true });
        if (name === 'there') writeFileSync(bench.path(name), '0123456789');
        outcomes.push(await made(create, name, { flags }));
      }
      expect([flags, name, outcomes[1]]).toEqual([flags, name, outcomes[0]]);
    }
  }
});

test('O_CREAT alone goes on from start in a file that is there', async () => {
  writeFileSync(bench.path('a'), '0123456789');
  await made(ours, 'a', { flags: O_WRONLY | O_CREAT, start: 4 });
  expect(bench.read('a').toString()).toBe('0123AB6789');
});

test('a file that is made has the permissions that fs gives it, whether it is published whole or grows', async () => {
  const modes = [0o600, '600', '0600', 0o4755, '4755', 0o2755, 0o2644, 0o1777, 0o100644, 0, 0o666, 0o777];
  for (const mode of modes) {
    for (const flags of ['w', 'ax']) {
      const outcomes = [];
      for (const create of [ofNode, ours]) {
        outcomes.push(await made(create, 'a', { flags, mode }));
        fs.rmSync(bench.path('a'), { force: true });
      }
      expect([mode, flags, outcomes[1]]).toEqual([mode, flags, outcomes[0]]);
    }
  }
});

test('a file that grows has its permissions before its first byte, so that others can follow it', async () => {
  const stream = ours(bench.path('log'), { flags: 'a', mode: 0o644 });
  stream.write('line\n');
  await stream.flush();
  expect((statSync(bench.path('log')).mode & 0o777).toString(8)).toBe('644');
  await new Promise((resolve) => {
    stream.end(resolve);
  });
});

test('what the file system refuses has the code, call, errno and path of fs', async () => {
  writeFileSync(bench.path('there'), '');
  symlinkSync('loop', bench.path('loop'));
  const cases: [string, object][] = [
    ['n'.repeat(256), {}],
    ['no/such', {}],
    ['there/x', {}],
    ['there', { flags: 'wx' }],
    ['absent', { flags: 'r+' }],
    ['loop', {}],
    ['.', {}],
  ];
  for (const [name, options] of cases) {
    expect(await made(ours, name, options)).toBe(await made(ofNode, name, options));
  }
});

test('calls that promise reject with what fs throws of a path, and take options that are null', async () => {
  const paths: unknown[] = [
    46,
    null,
    'a\0b',
    new URL('http://x/y'),
    new URL('file://host/x'),
    new URL('file:///a%2Fb'),
  ];
  for (const path of paths) {
    const expected = thrown(ofNode, path, undefined)!;
    await expect(writer.writeFile(path as string, 'x')).rejects.toMatchObject(expected);
    await expect(writer.copyFile(path as string, bench.path('a'))).rejects.toMatchObject(expected);
    await expect(writer.copyFile(bench.path('a'), path as string)).rejects.toMatchObject(expected);
  }
  await writer.writeFile(Buffer.from(bench.path('a')), 'ff', 'hex');
  await writer.copyFile(bench.path('a'), bench.path('b'), null);
  expect(bench.read('b').toString('hex')).toBe('ff');
  for (const options of [5, true, () => {}]) {
    const wrong = { code: 'ERR_INVALID_ARG_TYPE' };
    await expect(writer.writeFile(bench.path('c'), 'x', options as never)).rejects.toMatchObject(wrong);
    await expect(writer.copyFile(bench.path('a'), bench.path('c'), options as never)).rejects.toMatchObject(wrong);
    await expect(openWriter(options as never)).rejects.toMatchObject(wrong);
  }
  await expect(writer.writeFile(bench.path('c'), 'x', 'bogus' as never)).rejects.toMatchObject({
    code: 'ERR_INVALID_ARG_VALUE',
  });
  expect(bench.names()).toEqual(['a', 'b']);
});

test('what calls back may be left out as null', async () => {
  const stream = writer.createWriteStream(bench.path('a'));
  stream.write('x');
  await stream.flush(null);
  stream.close(null);
  await once(stream, 'close');
  expect(bench.read('a').toString()).toBe('x');
});
