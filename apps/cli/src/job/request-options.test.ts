import { expect, test } from '@jest/globals';
import { Command } from 'commander';
import { parseRequest } from '@penstock/contract/judging';
import { type RequestOptions, addRequestOptions, judgeRequest, requestOf } from './request-options.ts';

function optionsFrom(...args: string[]): RequestOptions {
  const command = addRequestOptions(new Command('write'))
    .option('--root <name>')
    .option('--from-root <name>')
    .exitOverride()
    .configureOutput({ writeErr: () => {} });
  return command.parse(args, { from: 'user' }).opts();
}

test("a path alone is sent alone: defaults are the contract's affair", () => {
  expect(requestOf('a.bin', optionsFrom())).toEqual({ path: 'a.bin' });
});

test('every option finds its field', () => {
  const options = optionsFrom(
    ...'--size 1GiB --pattern stamp --seed 7 --rows 32 --row-bytes 1MiB'.split(' '),
    ...'--mode create --publish in-place --durability none --root scratch'.split(' '),
    ...'--checksum crc32c --expect E3069283 --verify'.split(' '),
  );
  const request = requestOf('run/42.dat', options);
  expect(request).toEqual({
    path: 'run/42.dat',
    root: 'scratch',
    size: '1GiB',
    matrix: { rows: 32, rowBytes: '1MiB' },
    source: { kind: 'pattern', pattern: 'stamp', seed: 7 },
    mode: 'create',
    publish: 'in-place',
    durability: 'none',
    checksum: 'crc32c',
    expect: 'E3069283',
    verify: 'readback',
  });
  expect(parseRequest(request)).toMatchObject({ size: 1_073_741_824, expect: 'e3069283' });
});

test('--from makes it a copy, whose root is named apart', () => {
  expect(requestOf('copy', optionsFrom('--from', 'in.dat', '--from-root', 'archive')).source).toEqual({
    kind: 'file',
    path: 'in.dat',
    root: 'archive',
  });
});

test('--holes and --reflink tell how the copy is made', () => {
  expect(requestOf('copy', optionsFrom('--from', 'in.dat', '--holes', 'keep', '--reflink', 'auto')).source).toEqual({
    kind: 'file',
    path: 'in.dat',
    holes: 'keep',
    reflink: 'auto',
  });
});

test('the bytes may come from a server or from shared memory, and from one place only', () => {
  expect(requestOf('a', optionsFrom('--url', 'https://example.org/a')).source).toEqual({
    kind: 'url',
    url: 'https://example.org/a',
  });
  expect(requestOf('a', optionsFrom('--segment', 'frame-7')).source).toEqual({ kind: 'shm', name: 'frame-7' });
  expect(() => optionsFrom('--url', 'https://example.org/a', '--from', 'b')).toThrow(/cannot be used with/);
});

test('an existing file is changed in place, at an offset, no faster than it may be', () => {
  const options = optionsFrom(
    ...'--mode overwrite --offset 1MiB --durability dsync --file-mode 640 --max-rate 100MiB'.split(' '),
    ...'--from b --mtime keep'.split(' '),
  );
  expect(parseRequest(requestOf('a', options))).toMatchObject({
    mode: 'overwrite',
    offset: 1_048_576,
    publish: 'in-place',
    durability: 'dsync',
    fileMode: '640',
    limit: { bytesPerSecond: 104_857_600 },
    source: { kind: 'file', path: 'b', mtime: 'keep' },
  });
});

test('a seed alone belongs to the default pattern', () => {
  expect(requestOf('a', optionsFrom('--seed', '3', '--size', '1')).source).toEqual({ kind: 'pattern', seed: 3 });
});

test('options that do not go together are refused by name', () => {
  expect(() => requestOf('a', optionsFrom('--rows', '4'))).toThrow(/--rows and --row-bytes/);
  expect(() => requestOf('a', optionsFrom('--from-root', 'archive'))).toThrow(/--from-root names the root of --from/);
  expect(() => requestOf('a', optionsFrom('--holes', 'keep', '--size', '1'))).toThrow(/--holes .* give --from too/);
  expect(() => requestOf('a', optionsFrom('--reflink', 'auto', '--seed', '1'))).toThrow(/--reflink .* give --from too/);
  expect(() => requestOf('a', optionsFrom('--expect', 'e3069283'))).toThrow(/--expect .* give --checksum too/);
  expect(() => optionsFrom('--checksum', 'md5')).toThrow(/crc32c, sha256/);
  expect(() => optionsFrom('--from', 'b', '--holes', 'always')).toThrow(/fill, keep/);
  expect(() => optionsFrom('--from', 'b', '--reflink', 'maybe')).toThrow(/never, auto, always/);
  expect(() => optionsFrom('--from', 'b', '--pattern', 'zero')).toThrow(/cannot be used with/);
  expect(() => optionsFrom('--pattern', 'zebra')).toThrow(/zero, byte, counter, text, stamp, random/);
});

test.each([
  ['--size', '-5', /size: "-5"/],
  ['--size', 'lots', /size: "lots"/],
  ['--seed', '-1', /seed/],
  ['--seed', 'x', /"x"/],
  ['--expect', 'e306928', /expect/],
])("what the contract refuses keeps the contract's words: %s %s", (option, value, message) => {
  const size = option === '--size' ? [] : ['--size', '1', '--checksum', 'crc32c'];
  expect(() => judgeRequest(requestOf('a', optionsFrom(option, value, ...size)))).toThrow(message);
});

test('a path that only a shell understands comes with advice', () => {
  const hintFor = (path: string): unknown => {
    try {
      judgeRequest({ path, size: 1 });
      return null;
    } catch (error) {
      return Reflect.get(error as object, 'hint');
    }
  };
  expect(hintFor('/tmp/a')).toMatch(/--root here="\$PWD"/);
  expect(hintFor('../a')).toMatch(/--root here="\$PWD"/);
  expect(hintFor('a\0b')).toBeUndefined();
});
