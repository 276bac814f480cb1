// A writer that is opened in a worker thread, which is ended amid its writes: nothing of it is left in the process.
import { writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { finished } from 'node:stream/promises';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Bench } from '../src/bench.fixture.ts';

let bench: Bench;
beforeEach(() => {
  bench = new Bench();
});
afterEach(async () => {
  // Contexts and descriptors among them.
  expect(await bench.clear()).toEqual([]);
});

test.each(['terminate', 'exit', 'uncaught'])(
  'a worker thread that ends by "%s" leaves no context, descriptor or lock',
  async (end) => {
    writeFileSync(bench.path('log'), '');
    const workerData = { directory: bench.directory, end };
    const worker = new Worker(new URL('worker-thread.fixture.mjs', import.meta.url), { workerData });
    worker.on('error', () => {}); // what nobody caught
    const gone = new Promise((resolve) => {
      worker.once('exit', resolve);
    });
    if (end === 'terminate') {
      await once(worker, 'message');
      await worker.terminate();
    }
    await gone;
    expect(bench.left()).toEqual([]);
    const writer = await bench.open();
    await finished(writer.createWriteStream(bench.path('log'), { flags: 'a' }).end('more'));
    expect(bench.read('log').toString('latin1')).toMatch(/more$/);
  },
);
