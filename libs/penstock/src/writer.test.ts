import { createHash } from 'node:crypto';
import { mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { WriteProgress } from '@penstock/contract';
import { Bench, bytesFor, EDGE_SIZES } from './bench.fixture.ts';
import { openWriter } from './writer.ts';

let bench: Bench;
beforeEach(() => {
  bench = new Bench();
});
afterEach(async () => {
  expect(await bench.clear()).toEqual([]);
});

/** A source that never ends, and the moment at which it was asked for more than fits. */
async function* endless(): AsyncGenerator<Buffer> {
  const piece = bytesFor(65_536);
  for (;;) {
    yield piece;
    await setImmediate();
  }
}

test('bytes of every shape make the same file, at every size', async () => {
  const writer = await bench.open();
  for (const size of EDGE_SIZES) {
    const bytes = bytesFor(size);
    const shared = new Uint8Array(new SharedArrayBuffer(size + 3), 3);
    shared.set(bytes);
    const shapes = {
      buffer: bytes,
      view: new DataView(bytes.buffer, bytes.byteOffset, size),
      shared,
      arrayBuffer: Uint8Array.from(bytes).buffer,
      readable: Readable.from([bytes.subarray(0, size >> 1), bytes.subarray(size >> 1)]),
      generator: (function* pieces() {
        for (let at = 0; at < size; at += 100_003) yield bytes.subarray(at, at + 100_003);
      })(),
    };
    await Promise.all(
      Object.entries(shapes).map(async ([name, data]) => {
        const result = await writer.writeFile(bench.path(name), data);
        expect(result).toMatchObject({ bytes: size, path: bench.path(name) });
        expect(bench.read(name).equals(bytes)).toBe(true);
      }),
    );
  }
});

test('text is written in its encoding, and a pattern by the engine itself', async () => {
  const writer = await bench.open();
  await writer.writeFile(bench.path('utf8'), 'Schleuse ⚙\n');
  await writer.writeFile(bench.path('hex'), 'c0ffee', { encoding: 'hex' });
  await writer.writeFile(bench.path('pieces'), ['c0', 'ffee'], { encoding: 'hex' });
  await writer.writeFile(bench.path('pattern'), { kind: 'pattern', pattern: 'counter', seed: 7 }, { size: '1MiB' });
  expect(bench.read('utf8').toString()).toBe('Schleuse ⚙\n');
  expect(bench.read('hex')).toEqual(Buffer.from([0xc0, 0xff, 0xee]));
  expect(bench.read('pieces')).toEqual(Buffer.from([0xc0, 0xff, 0xee]));
  expect(bench.read('pattern').readUInt32LE(400)).toBe(107);
});

test('a copy is the same as its source, and writes through a link to the file that it names', async () => {
  const writer = await bench.open();
  for (const size of EDGE_SIZES) {
    writeFileSync(bench.path('from'), bytesFor(size));
    await writer.copyFile(bench.path('from'), bench.path('to'));
    expect(bench.read('to').equals(bytesFor(size))).toBe(true);
  }
  symlinkSync('to', bench.path('link'));
  await writer.writeFile(bench.path('link'), 'through');
  expect(bench.read('to').toString()).toBe('through');
  expect(bench.names()).toEqual(['from', 'link', 'to']);
});

test('more writes than run at once wait their turn, and every one is done', async () => {
  const writer = await bench.open({ jobs: 1 });
  const sizes = Array.from({ length: 60 }, (_, index) => index * 1000);
  await Promise.all(sizes.map((size) => writer.writeFile(bench.path(`${size}`), bytesFor(size))));
  for (const size of sizes) expect(bench.read(`${size}`).equals(bytesFor(size))).toBe(true);
});

test('progress is told while a write runs and once when it is done', async () => {
  const writer = await bench.open();
  const told: WriteProgress[] = [];
  const half = new Readable({ read() {} });
  half.push(bytesFor(3_000_000));
  const writing = writer.writeFile(bench.path('a'), half, {
    onProgress: (progress) => {
      if (told.push(progress) !== 2) return;
      half.push(bytesFor(2_000_000));
      half.push(null);
    },
  });
  await writing;
  expect(told.length).toBeGreaterThanOrEqual(3);
  expect(told[0]).toMatchObject({ phase: 'writing', progress: expect.any(Number) });
  expect(told.at(-1)).toMatchObject({ phase: 'done', progress: 100, bytesWritten: 5_000_000, bytesDurable: 5_000_000 });
  expect(told[0]).not.toHaveProperty('host');
});

test('an aborted write rejects as Node does, once nothing is left of it; what stood there is untouched', async () => {
  const writer = await bench.open();
  writeFileSync(bench.path('a'), 'before');
  const controller = new AbortController();
  const source = Readable.from(endless());
  const writing = writer.writeFile(bench.path('a'), source, {
    signal: controller.signal,
    onProgress: ({ bytesWritten }) => {
      if (bytesWritten > 0) controller.abort(new Error('enough'));
    },
  });
  await expect(writing).rejects.toMatchObject({
    name: 'AbortError',
    code: 'ABORT_ERR',
    cause: expect.objectContaining({ message: 'enough' }),
  });
  expect(bench.names()).toEqual(['a']);
  expect(bench.read('a').toString()).toBe('before');
  expect(source.destroyed).toBe(true);
});

test('an abort reaches a write whose source has nothing to say, one that waits its turn, and one not begun', async () => {
  const writer = await bench.open({ threads: 1, streams: 1 });
  const silent = new Readable({ read() {} });
  const [first, second, third] = [new AbortController(), new AbortController(), new AbortController()];
  const outcomes = [first, second].map(({ signal }, index) =>
    writer
      .writeFile(bench.path(`${index}`), index === 0 ? silent : Readable.from('x'), { signal })
      .catch((error: unknown) => error),
  );
  while (bench.names().length === 0) await setImmediate();
  second.abort();
  expect(await outcomes[1]).toMatchObject({ name: 'AbortError' });
  first.abort();
  expect(await outcomes[0]).toMatchObject({ name: 'AbortError' });
  third.abort();
  await expect(writer.copyFile('a', 'b', { signal: third.signal })).rejects.toMatchObject({ name: 'AbortError' });
  expect(bench.names()).toEqual([]);
});

test('a source that fails fails the write with its own error, and leaves no file', async () => {
  const writer = await bench.open();
  const failure = new Error('the camera is gone');
  const pieces = (async function* broken() {
    yield bytesFor(2_000_000);
    throw failure;
  })();
  await expect(writer.writeFile(bench.path('a'), pieces)).rejects.toBe(failure);
  await expect(writer.writeFile(bench.path('a'), ['text', 7])).rejects.toMatchObject({
    field: 'data',
    value: 'number',
  });
  expect(bench.names()).toEqual([]);
});

test('a source is left when its write fails: it is not read on for ever', async () => {
  const writer = await bench.open();
  const source = Readable.from(endless());
  const closed = new Promise((resolve) => {
    source.once('close', resolve);
  });
  await expect(writer.writeFile(bench.path('no/such'), source)).rejects.toMatchObject({ code: 'ENOENT' });
  await expect(writer.writeFile(bench.path('a'), source, { size: 1000 })).rejects.toMatchObject({ code: /./ });
  await closed;
});

test('errors name call, path and what to do; a bad request names its field', async () => {
  const writer = await bench.open();
  mkdirSync(bench.path('directory'));
  writeFileSync(bench.path('there'), '');
  await expect(writer.writeFile(bench.path('directory'), '')).rejects.toMatchObject({
    name: 'IoError',
    code: 'EISDIR',
    path: bench.path('directory'),
  });
  await expect(writer.writeFile(bench.path('there/x'), '')).rejects.toMatchObject({ code: 'ENOTDIR' });
  await expect(writer.writeFile(bench.path('there'), '', { mode: 'create' })).rejects.toMatchObject({ code: 'EEXIST' });
  await expect(writer.copyFile(bench.path('absent'), bench.path('x'))).rejects.toMatchObject({ code: 'ENOENT' });
  await expect(writer.writeFile(bench.path('x'), { kind: 'pattern' })).rejects.toMatchObject({
    name: 'RequestError',
    field: 'size',
  });
  await expect(writer.writeFile(bench.path('x'), 5 as never)).rejects.toMatchObject({ field: 'data', value: 'number' });
  await expect(openWriter({ threads: 0 })).rejects.toMatchObject({ name: 'RequestError', field: 'threads' });
  expect(bench.names()).toEqual(['directory', 'there']);
});

test('the fields of a request hold for bytes of the program: modes, sums, reading back, permission bits', async () => {
  const writer = await bench.open();
  const bytes = bytesFor(100_001);
  const value = createHash('sha256').update(bytes).digest('hex');
  const checksum = 'sha256';
  const made = await writer.writeFile(bench.path('a'), bytes, {
    checksum,
    expect: value,
    verify: 'readback',
    fileMode: 0o640,
  });
  expect(made).toMatchObject({ checksum: { algorithm: 'sha256', value }, verified: 'readback' });
  expect(statSync(bench.path('a')).mode & 0o777).toBe(0o640);
  const expected = '0'.repeat(64);
  await expect(writer.writeFile(bench.path('a'), 'other', { checksum, expect: expected })).rejects.toMatchObject({
    code: expect.stringMatching(/^E/),
  });
  expect(bench.read('a').equals(bytes)).toBe(true);
  await writer.writeFile(bench.path('a'), 'MIDST', { mode: 'overwrite', offset: 5000 });
  await writer.writeFile(bench.path('a'), 'END', { mode: 'append' });
  const changed = Buffer.concat([bytes, Buffer.from('END')]);
  changed.write('MIDST', 5000);
  expect(bench.read('a').equals(changed)).toBe(true);
  await writer.writeFile(bench.path('a'), 'whole again', { durability: 'dsync' });
  expect(bench.read('a').toString()).toBe('whole again');
  expect(statSync(bench.path('a')).mode & 0o777).toBe(0o640); // kept, though it is another file now
});

test('what is no AbortSignal is refused by its name, and takes nobody the turn', async () => {
  const writer = await bench.open({ threads: 1, jobs: 1 });
  const signal = {} as AbortSignal;
  await expect(writer.writeFile(bench.path('a'), 'x', { signal })).rejects.toMatchObject({ field: 'signal' });
  expect(await writer.writeFile(bench.path('a'), 'x')).toMatchObject({ bytes: 1 });
});

test('a limit is kept', async () => {
  const writer = await bench.open();
  const begunAt = performance.now();
  const source = { kind: 'pattern' } as const;
  const options = { size: '3MiB', limit: { bytesPerSecond: '2MiB' } };
  await writer.writeFile(bench.path('a'), source, options);
  expect(performance.now() - begunAt).toBeGreaterThan(1000);
});

test('missing directories are made where that is asked for, and else are an error', async () => {
  const writer = await bench.open();
  await expect(writer.writeFile(bench.path('a/b/c'), 'x')).rejects.toMatchObject({ code: 'ENOENT' });
  await writer.writeFile(bench.path('a/b/c'), 'x', { makeDirectories: true });
  expect(bench.read('a/b/c').toString()).toBe('x');
});

test('close waits for what was asked for, takes no more, and may be called again', async () => {
  const writer = await bench.open();
  const writing = Promise.all([1, 2, 3].map((index) => writer.writeFile(bench.path(`${index}`), bytesFor(3_000_000))));
  await Promise.all([writer.close(), writer.close()]);
  await writing;
  await expect(writer.writeFile(bench.path('late'), 'x')).rejects.toThrow('closed');
  expect(bench.names()).toEqual(['1', '2', '3']);
});

test('threads that were parked for want of work take it up again', async () => {
  const writer = await bench.open();
  await writer.writeFile(bench.path('a'), 'first');
  // Parked is what lets a process end: a timer longer than the idle time is over when the threads sleep.
  await new Promise((resolve) => {
    setTimeout(resolve, 300);
  });
  await Promise.all(['b', 'c', 'd'].map((name) => writer.writeFile(bench.path(name), name)));
  expect(['a', 'b', 'c', 'd'].map((name) => bench.read(name).toString())).toEqual(['first', 'b', 'c', 'd']);
});
