// When what a stream has taken is in its file: soon by itself, at once on request, and before a synchronous write calls back.
import { once } from 'node:events';
import { closeSync, existsSync, fstatSync, mkdirSync, openSync, readSync, statSync, writeFileSync } from 'node:fs';
import type { Writable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Bench, bytesFor } from '../src/bench.fixture.ts';
import type { FileWriteStream } from '../src/stream/write-stream.ts';
import type { Writer } from '../src/writer.ts';

const MIB = 1_048_576;

let bench: Bench;
let writer: Writer;
beforeEach(async () => {
  bench = new Bench();
  writer = await bench.open({ threads: 1 });
});
afterEach(async () => {
  expect(await bench.clear()).toEqual([]);
});

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await setImmediate();
}

const write = (stream: Writable, text: string | Buffer): Promise<void> =>
  new Promise((resolve, reject) => {
    stream.write(text, (error) => (error == null ? resolve() : reject(error)));
  });

async function close(stream: FileWriteStream): Promise<void> {
  stream.end();
  await once(stream, 'close');
}

test('lines that fill no row are in the file a moment later, which is exactly as long as they are, again and again', async () => {
  writeFileSync(bench.path('a'), 'before\n');
  const stream = writer.createWriteStream(bench.path('a'), { flags: 'a' });
  let expected = 'before\n';
  for (let round = 0; round < 4; round += 1) {
    for (let index = 0; index < 20; index += 1) {
      stream.write(`line ${index}\n`);
      expected += `line ${index}\n`;
    }
    await until(() => statSync(bench.path('a')).size >= expected.length);
    expect(bench.read('a').toString()).toBe(expected);
  }
  await close(stream);
  expect(bench.read('a').toString()).toBe(expected);
});

test('a log that is made by flags ax has its lines at once, and keeps them if the stream is destroyed', async () => {
  const stream = writer.createWriteStream(bench.path('a'), { flags: 'ax' });
  await write(stream, 'line\n');
  await until(() => existsSync(bench.path('a')) && statSync(bench.path('a')).size > 0);
  expect(bench.read('a').toString()).toBe('line\n');
  await write(stream, 'the last\n');
  stream.destroy();
  await once(stream, 'close');
  expect(bench.read('a').toString()).toBe('line\nthe last\n');
  const second = writer.createWriteStream(bench.path('a'), { flags: 'ax' });
  await expect(once(second, 'close')).rejects.toMatchObject({ code: 'EEXIST' });
});

test('rows and what fills none, idle and busy in turns, are one file in the end, changed anywhere', async () => {
  for (const [flags, start] of [
    ['a', undefined],
    ['r+', 0],
    ['r+', 4097],
  ] as const) {
    const old = bytesFor(10_000);
    writeFileSync(bench.path('a'), old);
    const stream = writer.createWriteStream(bench.path('a'), { flags, start, flushAfterMs: 1 });
    const offset = start ?? old.length;
    const pieces: Buffer[] = [];
    for (const size of [1, 511, 3 * MIB + 17, 100, MIB, 4096, 2 * MIB - 5000, 5]) {
      const piece = bytesFor(size + 4).subarray(4);
      pieces.push(piece);
      await write(stream, piece);
      const bytes = Buffer.concat(pieces);
      const expected = Buffer.concat([old.subarray(0, offset), bytes, old.subarray(offset + bytes.length)]);
      // Longer it may be only while rows are in flight.
      await until(() => statSync(bench.path('a')).size === expected.length && bench.read('a').equals(expected));
    }
    await close(stream);
    expect(bench.read('a').length).toBe(Math.max(old.length, offset + Buffer.concat(pieces).length));
  }
});

test('whoever follows a file that lines are added to sees their bytes, no zero, and no end that comes back', async () => {
  writeFileSync(bench.path('a'), 'before\n');
  const matrix = { rows: 8, rowBytes: 65_536 };
  const stream = writer.createWriteStream(bench.path('a'), { flags: 'a', flushAfterMs: 1, matrix });
  const follower = openSync(bench.path('a'), 'r');
  const room = Buffer.alloc(2 * MIB);
  let followed = 0;
  const follow = (): void => {
    expect(fstatSync(follower).size).toBeGreaterThanOrEqual(followed);
    followed += readSync(follower, room, followed, room.length - followed, followed);
  };
  let expected = 'before\n';
  for (let round = 0; round < 60; round += 1) {
    const lines = `${'a line of a log, and more of it '.repeat(600)}${round}\n`;
    expected += lines;
    stream.write(lines);
    await until(() => {
      follow();
      return followed >= expected.length;
    });
  }
  stream.end('the last');
  let closed = false;
  stream.on('close', () => (closed = true));
  await until(() => {
    follow();
    return closed;
  });
  follow();
  closeSync(follower);
  const seen = room.subarray(0, followed);
  expect(seen.indexOf(0)).toBe(-1);
  expect(seen.toString() === `${expected}the last`).toBe(true);
});

test('flush resolves when all that was written before is in the file, and calls back too', async () => {
  const stream = writer.createWriteStream(bench.path('a'), { flags: 'a', flushAfterMs: Number.POSITIVE_INFINITY });
  let expected = Buffer.alloc(0);
  for (const size of [10, 3 * MIB + 1, 0, 700_001]) {
    const bytes = bytesFor(size);
    stream.write(bytes); // not awaited: it comes before the flush all the same
    expected = Buffer.concat([expected, bytes]);
    await stream.flush();
    expect(bench.read('a').equals(expected)).toBe(true);
  }
  stream.write('x');
  await new Promise<void>((resolve, reject) => {
    void stream.flush((error) => (error == null ? resolve() : reject(error)));
  });
  expect(bench.read('a').length).toBe(expected.length + 1);
  stream.end('y');
  await stream.flush(); // an ended stream has flushed all when it has finished
  expect(bench.read('a').length).toBe(expected.length + 2);
});

test('flushes while bytes keep coming do not wait for a pause that never is', async () => {
  const stream = writer.createWriteStream(bench.path('a'), { flags: 'a' });
  await once(stream, 'ready');
  let flushing = true;
  let at = 0;
  const piece = bytesFor(MIB);
  const writing = (async () => {
    for (; flushing; at += piece.length) await write(stream, piece); // oxlint-disable-line no-unmodified-loop-condition
  })();
  for (let count = 0; count < 5; count += 1) {
    const before = at;
    await stream.flush();
    expect(statSync(bench.path('a')).size).toBeGreaterThanOrEqual(before);
  }
  flushing = false;
  await writing;
  await close(stream);
  expect(bench.read('a').length).toBe(at);
});

test('with flags as, and with dsync, a write calls back only when its bytes are in the file', async () => {
  writeFileSync(bench.path('a'), '');
  for (const options of [{ flags: 'as' }, { flags: 'a', durability: 'dsync' }] as const) {
    const before = statSync(bench.path('a')).size;
    const stream = writer.createWriteStream(bench.path('a'), { ...options, flushAfterMs: Number.POSITIVE_INFINITY });
    let length = before;
    for (const size of [5, 4096, 1, 2 * MIB + 3]) {
      length += size;
      await write(stream, bytesFor(size));
      expect(statSync(bench.path('a')).size).toBe(length);
    }
    // Those that wait share a flush: all of a moment.
    const called: number[] = [];
    await Promise.all(
      Array.from({ length: 100 }, async (_, index) => {
        await write(stream, `${index}\n`);
        called.push(statSync(bench.path('a')).size);
      }),
    );
    expect(Math.min(...called)).toBeGreaterThan(length);
    await close(stream);
  }
});

test('a stream of a file without its name is flushed too, and shows nothing before its end', async () => {
  const stream = writer.createWriteStream(bench.path('a'));
  stream.write('some');
  await stream.flush();
  expect(bench.names()).not.toContain('a');
  stream.end(' more');
  await once(stream, 'close');
  expect(bench.read('a').toString()).toBe('some more');
});

test('an append by writeFile shows what an iteration has brought, and takes it back if that fails', async () => {
  writeFileSync(bench.path('a'), 'before|');
  let fail: (error: Error) => void = () => {};
  const failure = new Promise<never>((_resolve, reject) => {
    fail = reject;
  });
  const source = async function* slow(): AsyncGenerator<string> {
    yield 'half';
    yield await failure;
  };
  const writing = writer.writeFile(bench.path('a'), source(), { mode: 'append' });
  await until(() => bench.read('a').toString() === 'before|half');
  fail(new Error('broken'));
  await expect(writing).rejects.toThrow('broken');
  expect(bench.read('a').toString()).toBe('before|');
});

test('a time that cannot be is refused at once by its name', () => {
  for (const flushAfterMs of [0, -1, 1.5, Number.NaN]) {
    const refusal = expect.objectContaining({ name: 'RequestError', field: 'flushAfterMs' });
    expect(() => writer.createWriteStream(bench.path('a'), { flags: 'a', flushAfterMs })).toThrow(refusal);
  }
});

/** What the destinations of three logging libraries call, in their order. */
const LOGGERS: Record<string, (stream: FileWriteStream, lines: readonly string[]) => Promise<void>> = {
  // A Writable in object mode before it; ends with 'finish' of its own.
  winston: async (stream, lines) => {
    for (const line of lines) stream.write(`${line}\n`);
    await setImmediate();
  },
  // One string a record, whatever write() says.
  bunyan: async (stream, lines) => {
    stream.on('error', () => {});
    for (const line of lines) stream.write(`${JSON.stringify({ name: 'app', msg: line })}\n`);
  },
  // Waits for 'drain' where write() says false, and shuts down by end(callback).
  log4js: async (stream, lines) => {
    for (const line of lines) if (!stream.write(`${line}\n`, 'utf8')) await once(stream, 'drain');
  },
};

test.each(Object.keys(LOGGERS))(
  'lines of %s are in the file while its stream is open, and none is lost',
  async (name) => {
    mkdirSync(bench.path('logs'));
    const stream = writer.createWriteStream(bench.path('logs/app.log'), { flags: 'a' });
    const lines = Array.from({ length: 20 }, (_, index) => `line ${index}`);
    const count = (): number => bench.read('logs/app.log').toString().split('\n').length - 1;
    await once(stream, 'open');
    await LOGGERS[name]!(stream, lines);
    await until(() => count() === lines.length);
    await LOGGERS[name]!(stream, lines);
    await stream.flush();
    expect(count()).toBe(2 * lines.length);
    await new Promise<void>((resolve) => {
      stream.end('last\n', () => resolve());
    });
    expect(count()).toBe(2 * lines.length + 1);
    await until(() => stream.closed);
  },
);
