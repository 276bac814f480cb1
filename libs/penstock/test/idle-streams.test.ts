// Streams that have more rows between them than there are: each has some while it has bytes, and no byte goes astray.
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { type IncomingMessage, createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { finished, pipeline } from 'node:stream/promises';
import { setTimeout } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { WriteProgress } from '@penstock/contract';
import { Bench, bytesFor } from '../src/bench.fixture.ts';
import type { FileWriteStream, WriteStreamOptions } from '../src/index.ts';

const MIB = 1_048_576;
const SEED = 20_110_608;

let bench: Bench;
beforeEach(() => {
  bench = new Bench();
});
afterEach(async () => {
  expect(await bench.clear()).toEqual([]);
});

/** Numbers below `limit`, the same ones in each run. */
function dice(seed: number): (limit: number) => number {
  let word = seed;
  return (limit) => {
    word = (Math.imul(word, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((word / 2 ** 32) * limit);
  };
}

async function push(stream: FileWriteStream, bytes: Buffer): Promise<void> {
  if (!stream.write(bytes)) await once(stream, 'drain');
}

test('a stream that brings nothing keeps no rows from others, and goes on where it was', async () => {
  const writer = await bench.open({ memoryBytes: 16 * MIB }); // of two streams
  const whole = bytesFor(5 * MIB + 77);
  const cuts = Array.from({ length: 12 }, (_, index) => index * 5003);
  const idle = await Promise.all(
    cuts.map(async (cut) => {
      const stream = writer.createWriteStream(bench.path(`${cut}`));
      await push(stream, whole.subarray(0, cut));
      return stream;
    }),
  );
  await writer.writeFile(bench.path('other'), whole);
  expect(bench.read('other').equals(whole)).toBe(true);
  for (const [index, stream] of idle.entries()) stream.end(whole.subarray(cuts[index]));
  await Promise.all(idle.map((stream) => finished(stream)));
  for (const cut of cuts) expect(bench.read(`${cut}`).equals(whole)).toBe(true);
});

const kinds: [name: string, options: WriteStreamOptions][] = [
  ['w', {}],
  ['a', { flags: 'a', flushAfterMs: 10 }],
  ['r+', { flags: 'r+', start: 3001 }],
  ['summed', { checksum: 'sha256' }],
  ['read back', { verify: 'readback', checksum: 'crc32c' }],
  ['dsync', { durability: 'dsync' }],
  ['small rows', { matrix: { rows: 7, rowBytes: 16_384 } }],
  ['cached', { flags: 'a', durability: 'none', flushAfterMs: 1 }],
];

test('however many streams share how few rows, and whenever each rests, flushes or ends, files are whole', async () => {
  const writer = await bench.open({ memoryBytes: 16 * MIB, depth: 8 });
  const before = bytesFor(10_007);
  const all = Array.from({ length: 24 }, async (_, index) => {
    const roll = dice(SEED + index);
    const [kind, options] = kinds[index % kinds.length]!;
    const name = `${index} ${kind}`;
    const keeps = options.flags !== undefined;
    if (keeps) writeFileSync(bench.path(name), before);
    const start = options.flags === 'r+' ? options.start! : keeps ? before.length : 0;
    const bytes = bytesFor(roll(roll(2) === 0 ? 40_000 : 3 * MIB));
    const stream = writer.createWriteStream(bench.path(name), options);
    for (let at = 0; at < bytes.length;) {
      const length = 1 + roll(roll(3) === 0 ? 600_000 : 9000);
      await push(stream, bytes.subarray(at, at + length));
      at += length;
      if (roll(12) === 0) await setTimeout(roll(40));
      if (roll(25) === 0) await stream.flush();
    }
    await finished(stream.end());
    const expected = Buffer.concat([before.subarray(0, start), bytes, before.subarray(start + bytes.length)]);
    const wanted = keeps ? expected : bytes;
    expect([name, bench.read(name).equals(wanted)]).toEqual([name, true]);
  });
  await Promise.all(all);
}, 60_000);

test('bytes of a stream whose rows were taken away are in the file for readers, and after a flush', async () => {
  const writer = await bench.open({ memoryBytes: 16 * MIB });
  const line = Buffer.from('a line\n');
  writeFileSync(bench.path('log'), '');
  const stream = writer.createWriteStream(bench.path('log'), { flags: 'a', flushAfterMs: 5 });
  const all = bytesFor(9 * MIB);
  let expected = Buffer.alloc(0);
  for (let round = 0; round < 6; round += 1) {
    const more = Buffer.concat([line, all.subarray(0, round * 3001)]);
    expected = Buffer.concat([expected, more]);
    await push(stream, more);
    // Both take all rows that there are, and so those of the log.
    const others = ['x', 'y'].map((name) => writer.writeFile(bench.path(name), Readable.from([all])));
    while (!bench.read('log').equals(expected)) await setTimeout(5);
    await Promise.all(others);
    if (round % 2 === 0) await stream.flush();
    expect(bench.read('log').equals(expected)).toBe(true);
  }
  await finished(stream.end());
  expect(bench.read('log').equals(expected)).toBe(true);
});

test('a stream that waits for its turn says so', async () => {
  const writer = await bench.open({ streams: 1 });
  const first = writer.createWriteStream(bench.path('a'));
  await once(first, 'open');
  const told: WriteProgress[] = [];
  const second = writer.createWriteStream(bench.path('b'), { onProgress: (progress) => told.push(progress) });
  while (told.length === 0) await setTimeout(10);
  expect(told[0]).toMatchObject({
    phase: 'waiting',
    note: 'waiting for its turn: 1 streams are open at once (threads x streams)',
  });
  first.end();
  second.end('x');
  await Promise.all([finished(first), finished(second)]);
  expect(told.at(-1)).toMatchObject({ phase: 'done' });
});

test('behind a server of uploads 100 clients that stall keep nobody waiting', async () => {
  const writer = await bench.open({ memoryBytes: undefined });
  const uploads = new Map<string, Promise<void>>(); // clients come in any order
  const server = createServer((message: IncomingMessage, response) => {
    const upload = pipeline(message, writer.createWriteStream(bench.path(message.url!)));
    uploads.set(
      message.url!,
      upload.then(() => void response.end('stored')),
    );
    upload.catch(() => {}); // of a client that hangs up
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const post = (path: string) => request({ port, path, method: 'POST', agent: false }).on('error', () => {});
  const stalled = Array.from({ length: 100 }, (_, index) => post(`/stalled${index}`));
  for (const client of stalled) client.write('the first bytes, and ');
  while (uploads.size < 100) await once(server, 'request');
  const bytes = bytesFor(3 * MIB);
  const [answer] = (await once(post('/swift').end(bytes), 'response')) as [IncomingMessage];
  expect((await answer.toArray()).join('')).toBe('stored');
  expect(bench.read('swift').equals(bytes)).toBe(true);
  stalled[0]!.end('the last');
  await uploads.get('/stalled0');
  expect(bench.read('stalled0').toString()).toBe('the first bytes, and the last');
  for (const client of stalled) client.destroy();
  await Promise.allSettled(uploads.values());
  server.close();
  await writer.close();
  expect(bench.names()).toEqual(['stalled0', 'swift']);
});
