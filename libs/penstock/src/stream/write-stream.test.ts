import { chmodSync, createWriteStream, rmSync, statSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { PassThrough, Readable, Transform, type Writable } from 'node:stream';
import { finished, pipeline } from 'node:stream/promises';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Bench, bytesFor, EDGE_SIZES } from '../bench.fixture.ts';
import type { FileWriteStream } from './write-stream.ts';
import { openWriter, type Writer } from '../writer.ts';

let bench: Bench;
let writer: Writer;
beforeEach(async () => {
  bench = new Bench();
  writer = await bench.open();
});
afterEach(async () => {
  expect(await bench.clear()).toEqual([]);
});

/** The events of a stream's life, in the order in which they come. */
function eventsOf(stream: Writable): string[] {
  const events: string[] = [];
  for (const name of ['open', 'ready', 'drain', 'finish', 'error', 'close']) {
    stream.on(name, () => events.push(name));
  }
  return events;
}

test('a pipeline into it makes the same file, at every size and in pieces of any', async () => {
  for (const size of EDGE_SIZES) {
    const bytes = bytesFor(size);
    for (const piece of [10_007, 65_536, 3_000_017]) {
      const pieces = Array.from({ length: Math.ceil(size / piece) }, (_, index) =>
        bytes.subarray(index * piece, (index + 1) * piece),
      );
      await pipeline(Readable.from(pieces), writer.createWriteStream(bench.path('a')));
      expect(bench.read('a').equals(bytes)).toBe(true);
    }
  }
});

test('what Node programs do with fs.createWriteStream has the same events, bytes and answers here', async () => {
  /** Each is done with both; what it returns is compared, with the events and the file. */
  const patterns: Record<string, (stream: ReturnType<typeof createWriteStream>) => unknown> = {
    'end without a byte': (stream) => void stream.end(),
    'end with the last bytes': (stream) => void stream.end('the end'),
    'write, then end': (stream) => {
      const room = stream.write('some text');
      stream.end();
      return room;
    },
    'write in an encoding': (stream) => {
      stream.write('c0ffee', 'hex');
      stream.end('YWJj', 'base64');
    },
    'a default encoding': (stream) => {
      stream.setDefaultEncoding('latin1');
      stream.end('\u00E9');
    },
    'many small writes, corked': (stream) => {
      stream.cork();
      for (let index = 0; index < 1000; index += 1) stream.write(`line ${index}\n`);
      stream.uncork();
      stream.end();
      return stream.writableCorked;
    },
    'views of other kinds': (stream) => {
      stream.write(new Uint8Array([1, 2, 3]));
      stream.write(new Uint8Array([4, 5, 6]).subarray(1));
      stream.end();
    },
    'no further than there is room': async (stream) => {
      let writes = 0;
      for (let index = 0; index < 40; index += 1) {
        writes += 1;
        if (!stream.write(bytesFor(100_000))) await once(stream, 'drain');
      }
      stream.end();
      return writes;
    },
    'a callback of each write': (stream) => {
      const called: number[] = [];
      for (const index of [1, 2, 3]) stream.write('x', () => called.push(index));
      stream.end(() => called.push(4));
      return called;
    },
    'close with a callback': async (stream) => {
      stream.write('kept');
      await new Promise<void>((resolve) => {
        stream.close(() => resolve());
      });
      return stream.closed;
    },
    'final state': async (stream) => {
      stream.end('x');
      await once(stream, 'close');
      const { destroyed, writable, writableEnded, writableFinished, pending, bytesWritten, errored } = stream;
      return { destroyed, writable, writableEnded, writableFinished, pending, bytesWritten, errored };
    },
  };
  for (const [name, use] of Object.entries(patterns)) {
    const run = async (stream: ReturnType<typeof createWriteStream>, file: string): Promise<unknown> => {
      const events = eventsOf(stream);
      const closed = once(stream, 'close');
      const answer = await use(stream);
      await closed;
      return {
        name,
        answer,
        events: events.filter((event) => event !== 'drain'),
        file: bench.read(file).toString('hex'),
      };
    };
    const ours = writer.createWriteStream(bench.path('ours')) as unknown as ReturnType<typeof createWriteStream>;
    const [own, nodes] = [await run(ours, 'ours'), await run(createWriteStream(bench.path('nodes')), 'nodes')];
    expect(own).toEqual(nodes);
  }
});

test('errors come as with fs: the same events, code and state', async () => {
  writeFileSync(bench.path('there'), 'before');
  const cases: [string, Parameters<typeof createWriteStream>[1]][] = [
    ['there', { flags: 'wx' }],
    ['no/such', {}],
    ['.', {}],
    ['absent', { flags: 'r+' }],
  ];
  for (const [name, options] of cases) {
    const outcomes = [];
    for (const create of [createWriteStream, writer.createWriteStream.bind(writer)] as const) {
      const stream = create(bench.path(name), options as never);
      const events = eventsOf(stream);
      let error: NodeJS.ErrnoException | undefined;
      stream.on('error', (caught: Error) => {
        error = caught;
      });
      await new Promise<void>((resolve) => {
        stream.on('close', () => resolve());
      });
      outcomes.push({ name, events, code: error?.code, destroyed: stream.destroyed, bytes: stream.bytesWritten });
    }
    expect(outcomes[1]).toEqual(outcomes[0]);
  }
  expect(bench.read('there').toString()).toBe('before');
});

test('flags a and r+ change a file where it stands, as with fs, wherever the bytes go', async () => {
  const before = bytesFor(10_000);
  const cases: [string, Parameters<typeof createWriteStream>[1], number][] = [
    ['appended to', { flags: 'a' }, 5000],
    ['appended to, though it is not there', { flags: 'a' }, 4097],
    ['made by ax', { flags: 'ax' }, 1],
    ['changed at its start', { flags: 'r+' }, 100],
    ['changed in its midst', { flags: 'r+', start: 4095 }, 4098],
    ['changed beyond its end', { flags: 'r+', start: 9999 }, 70_000],
    ['appended nothing to', { flags: 'a' }, 0],
  ];
  for (const [name, options, size] of cases) {
    const files = [];
    for (const create of [createWriteStream, writer.createWriteStream.bind(writer)] as const) {
      if (!/not there|made/.test(name)) writeFileSync(bench.path('a'), before);
      await pipeline(Readable.from([bytesFor(size)]), create(bench.path('a'), options as never));
      files.push(bench.read('a'));
      rmSync(bench.path('a'));
    }
    expect({ name, same: files[0]!.equals(files[1]!) }).toEqual({ name, same: true });
  }
});

test('permission bits are those of fs: of a new file less the umask, of one that stands there its own', async () => {
  for (const options of [{}, { mode: 0o600 }, { mode: 0o777 }, { mode: '640' }]) {
    const bits = [];
    for (const create of [createWriteStream, writer.createWriteStream.bind(writer)] as const) {
      await pipeline(Readable.from(['x']), create(bench.path('a'), options as never));
      bits.push(statSync(bench.path('a')).mode & 0o777);
      chmodSync(bench.path('a'), 0o604);
      await pipeline(Readable.from(['y']), create(bench.path('a'), options as never));
      bits.push(statSync(bench.path('a')).mode & 0o777);
      rmSync(bench.path('a'));
    }
    expect(bits.slice(2)).toEqual(bits.slice(0, 2));
  }
});

test('a file that is changed where it stands keeps all of its bits, those beyond the permissions too', async () => {
  for (const flags of ['a', 'r+']) {
    writeFileSync(bench.path('a'), 'text');
    chmodSync(bench.path('a'), 0o1640);
    await pipeline(Readable.from(['x']), writer.createWriteStream(bench.path('a'), { flags, mode: 0o600 }));
    expect(statSync(bench.path('a')).mode & 0o7777).toBe(0o1640);
  }
});

test('finish comes when the file is in its place, and the result is there', async () => {
  const stream = writer.createWriteStream(bench.path('a'));
  stream.write(bytesFor(100_000));
  await once(stream, 'ready');
  expect(bench.names()).not.toContain('a');
  stream.end();
  await once(stream, 'finish');
  expect(bench.names()).toEqual(['a']);
  expect(stream.result).toMatchObject({ bytes: 100_000, path: bench.path('a') });
  expect(stream.path).toBe(bench.path('a'));
});

test('write says false while no row is free, and memory stays bounded', async () => {
  const small = await openWriter({ threads: 1, memoryBytes: 2_097_152 });
  try {
    const stream = small.createWriteStream(bench.path('a'));
    const piece = bytesFor(1_048_576);
    let waits = 0;
    for (let index = 0; index < 32; index += 1) {
      if (stream.write(piece)) continue;
      waits += 1;
      expect(stream.writableLength).toBeLessThanOrEqual(piece.length);
      await once(stream, 'drain');
    }
    stream.end();
    await finished(stream);
    expect(waits).toBeGreaterThan(0);
    expect(bench.read('a').equals(Buffer.concat(Array.from({ length: 32 }, () => piece)))).toBe(true);
  } finally {
    await small.close();
  }
});

test('destroyed, it leaves no file; what stood there is untouched; closed means that nothing is left', async () => {
  writeFileSync(bench.path('a'), 'before');
  const failure = new Error('no more');
  const stream = writer.createWriteStream(bench.path('a'));
  stream.write(bytesFor(3_000_000));
  await once(stream, 'ready');
  expect(bench.names().length).toBe(2);
  const ends = [once(stream, 'error'), new Promise((resolve) => stream.once('close', () => resolve('closed')))];
  stream.destroy(failure);
  expect(await Promise.all(ends)).toEqual([[failure], 'closed']);
  expect(bench.names()).toEqual(['a']);
  expect(bench.read('a').toString()).toBe('before');
});

test('destroyed without an error, at any moment, it only closes', async () => {
  const moments: ((stream: FileWriteStream) => Promise<unknown>)[] = [
    async () => {},
    async () => setImmediate(),
    (stream) => once(stream, 'ready'),
    async (stream) => {
      stream.write('x');
      await once(stream, 'ready');
    },
  ];
  for (const moment of moments) {
    const stream = writer.createWriteStream(bench.path('a'));
    const events = eventsOf(stream);
    await moment(stream);
    stream.destroy();
    await once(stream, 'close');
    expect(events.filter((event) => event === 'error' || event === 'finish')).toEqual([]);
    expect(bench.names()).toEqual([]);
  }
});

test('its signal destroys it, before it begins, while it waits for bytes, and in a pipeline', async () => {
  const aborted = writer.createWriteStream(bench.path('a'), { signal: AbortSignal.abort('early') });
  await expect(finished(aborted)).rejects.toMatchObject({ name: 'AbortError', code: 'ABORT_ERR' });
  const controller = new AbortController();
  const idle = writer.createWriteStream(bench.path('b'), { signal: controller.signal });
  const end = finished(idle).catch((error: unknown) => error);
  await once(idle, 'ready');
  controller.abort('late');
  expect(await end).toMatchObject({ name: 'AbortError', cause: 'late' });
  await new Promise((resolve) => {
    if (idle.closed) resolve(null);
    else idle.once('close', resolve);
  });
  const other = new AbortController();
  const piping = pipeline(new PassThrough(), writer.createWriteStream(bench.path('c')), { signal: other.signal });
  other.abort();
  await expect(piping).rejects.toMatchObject({ name: 'AbortError' });
  await writer.close();
  expect(bench.names()).toEqual([]);
});

test('a pipeline whose source or transform fails leaves no file', async () => {
  let pieces = 0;
  const failing = new Transform({
    transform(chunk, _encoding, callback) {
      pieces += 1;
      callback(pieces === 2 ? new Error('cannot') : null, chunk);
    },
  });
  const source = async function* broken(): AsyncGenerator<Buffer> {
    yield bytesFor(2_000_000);
    throw new Error('broken');
  };
  await expect(pipeline(source, writer.createWriteStream(bench.path('a')))).rejects.toThrow('broken');
  await expect(
    pipeline(Readable.from([bytesFor(200_000), bytesFor(200_000)]), failing, writer.createWriteStream(bench.path('b'))),
  ).rejects.toThrow('cannot');
  await writer.close();
  expect(bench.names()).toEqual([]);
});

test('more streams than run at once wait for their turn, and fill when it comes', async () => {
  const streams = Array.from({ length: 20 }, (_, index) => writer.createWriteStream(bench.path(`${index}`)));
  await Promise.all(
    streams.map(async (stream, index) => {
      stream.end(bytesFor(index * 10_000));
      await finished(stream);
    }),
  );
  for (const [index] of streams.entries()) expect(bench.read(`${index}`).equals(bytesFor(index * 10_000))).toBe(true);
});

test('a size that is said and not kept is an error, and no file', async () => {
  await expect(
    pipeline(Readable.from([bytesFor(10)]), writer.createWriteStream(bench.path('a'), { size: 11 })),
  ).rejects.toMatchObject({ field: 'size' });
  await expect(
    pipeline(Readable.from([bytesFor(12)]), writer.createWriteStream(bench.path('a'), { size: 11 })),
  ).rejects.toMatchObject({ field: 'size' });
  await pipeline(Readable.from([bytesFor(11)]), writer.createWriteStream(bench.path('a'), { size: 11 }));
  expect(bench.names()).toEqual(['a']);
});

test('autoClose false leaves the closing to the program; emitClose false tells nobody', async () => {
  const open = writer.createWriteStream(bench.path('a'), { autoClose: false });
  open.end('x');
  await once(open, 'finish');
  await setImmediate();
  expect(open.destroyed).toBe(false);
  open.destroy();
  await once(open, 'close');
  const silent = writer.createWriteStream(bench.path('b'), { emitClose: false });
  const events = eventsOf(silent);
  silent.end('x');
  await once(silent, 'finish');
  await writer.close();
  expect(events).toEqual(['open', 'ready', 'finish']);
});

test('closing the writer destroys a stream that was not ended, and waits for one that was', async () => {
  const open = writer.createWriteStream(bench.path('open'));
  open.write('x');
  const ended = writer.createWriteStream(bench.path('ended'));
  ended.end(bytesFor(2_000_000));
  const closed = once(open, 'close');
  await writer.close();
  await closed;
  const [refused] = (await once(writer.createWriteStream(bench.path('late')), 'error')) as [Error];
  expect(refused.message).toContain('closed');
  expect(bench.names()).toEqual(['ended']);
  expect(bench.read('ended').length).toBe(2_000_000);
});

test('options that cannot be are thrown, and leave neither a write under way nor a file', async () => {
  expect(() => writer.createWriteStream(bench.path('a'), 'latin-nine' as BufferEncoding)).toThrow(/latin-nine/);
  expect(() => writer.createWriteStream(bench.path('b'), { signal: {} as AbortSignal })).toThrow(/AbortSignal/);
  await writer.close(); // waits for whatever was begun
  expect(bench.names()).toEqual([]);
});
