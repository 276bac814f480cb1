// A row that is still being filled goes into the file before it is full: by itself, and as durably as it is to be.
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { WriteResult, WriteRequestInput } from '@penstock/contract';
import { RingProducer, createRing } from '@penstock/matrix';
import { type Bench, openBench } from '../thread/thread.fixture.ts';

const MIB = 1_048_576;

let bench: Bench;
beforeEach(() => {
  bench = openBench();
});
afterEach(() => bench.end());

const contents = (): string => bench.read('log').toString('latin1');

async function begin(
  fields: Partial<WriteRequestInput>,
): Promise<{ producer: RingProducer; done: Promise<WriteResult> }> {
  const { inlet, outlet } = createRing(bench.arenas);
  const producer = new RingProducer(inlet);
  producer.arrange({ keeps: false, flushAfterMs: -1 });
  const request = { path: 'log', source: { kind: 'stream' }, mode: 'append', ...fields } as const;
  const done = bench.write(request, { ring: outlet });
  await producer.writable();
  return { producer, done };
}

/** Counts the flushes that the engine is asked for. */
function countFlushes(): () => number {
  const { engine } = bench;
  const prep = engine.prepFdatasync.bind(engine);
  let count = 0;
  engine.prepFdatasync = (slot, fd) => {
    count += 1;
    prep(slot, fd);
  };
  return () => count;
}

test.each([
  ['none', 0],
  ['fdatasync', 1],
  ['dsync', 1],
] as const)('with durability %s a flush of many writes costs %i flushes of the disk', async (durability, flushes) => {
  const { producer, done } = await begin({ durability });
  const count = countFlushes();
  for (let index = 0; index < 10; index += 1) producer.push(Buffer.from(`line ${index}\n`));
  const asked = Array.from({ length: 10 }, () => producer.flush());
  expect(await Promise.all(asked)).toEqual(Array.from({ length: 10 }, () => true));
  expect(count()).toBe(flushes);
  expect(contents().split('\n').length).toBe(11);
  // Nothing came since: there is nothing to flush.
  expect(await producer.flush()).toBe(true);
  expect(count()).toBe(flushes);
  producer.end();
  await done;
});

test('the size that others see is that of the bytes while nothing comes, and never ahead by more than the rows in flight', async () => {
  const { producer, done } = await begin({ matrix: { rows: 8, rowBytes: MIB } });
  producer.arrange({ keeps: false, flushAfterMs: 1 });
  const piece = Buffer.alloc(MIB / 2, 'x');
  for (let pushed = 0; pushed < 40; pushed += 1) {
    await producer.pushAll(piece);
    const ahead = statSync(join(bench.directory, 'log')).size - (producer.bytesPushed - 8 * MIB);
    expect(ahead).toBeLessThanOrEqual(18 * MIB);
    await setImmediate();
  }
  producer.push(Buffer.from('tail'));
  await producer.flush();
  expect(statSync(join(bench.directory, 'log')).size).toBe(20 * MIB + 4);
  producer.end();
  expect((await done).bytes).toBe(20 * MIB + 4);
  expect(contents()).toBe(`${'x'.repeat(20 * MIB)}tail`);
});

test('a flush that comes after the end is answered by the end', async () => {
  const { producer, done } = await begin({});
  producer.push(Buffer.from('all'));
  producer.end();
  expect(await producer.flush()).toBe(false);
  expect((await done).bytes).toBe(3);
  producer.standing()(performance.now() + 10_000); // and nobody is kept waiting
  expect(contents()).toBe('all');
});

test('sums are of each byte once, though a row is written twice', async () => {
  const { producer, done } = await begin({ checksum: 'crc32c', verify: 'readback' });
  for (let index = 0; index < 5; index += 1) {
    await producer.pushAll(Buffer.alloc(300_001, `${index}`));
    expect(await producer.flush()).toBe(true);
  }
  producer.end();
  const { checksum } = await done;
  const again = await bench.write({ path: 'copy', source: { kind: 'file', path: 'log' }, checksum: 'crc32c' });
  expect(checksum).toEqual(again.checksum);
});
