// A log under a limit: what its readers see of it while the limit holds the next row back.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { RingProducer, createRing } from '@penstock/matrix';
import { type Bench, openBench } from '../src/thread/thread.fixture.ts';

const MIB = 1_048_576;
let bench: Bench;
beforeEach(() => {
  bench = openBench({ arenaBytes: 64 * MIB });
});
afterEach(() => bench.end());

test('readers of a log under a limit do not see zeros for as long as the limit holds its next row back', async () => {
  const block = bench.control.job(63);
  block.reset();
  block.rate.set(4 * MIB);
  const { inlet, outlet } = createRing(bench.arenas);
  const done = bench.write(
    { path: 'log', mode: 'append', source: { kind: 'stream' }, matrix: { rows: 8, rowBytes: MIB } },
    { ring: outlet, block },
  );
  done.catch(() => {});
  const producer = new RingProducer(inlet, () => {});
  const brought = producer.pushAll(new Uint8Array(new ArrayBuffer(6 * MIB)).fill(7)).then(() => producer.end());
  let seen = 0;
  const path = join(bench.directory, 'log');
  while ((await Promise.race([done, setTimeout(50, null)])) === null) {
    if (existsSync(path) && bench.read('log').includes(0)) seen += 1;
  }
  await brought;
  await done;
  // At a look a row may be in flight. The limit holds six of them back, each for five looks.
  expect(seen).toBeLessThan(4);
});
