import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Stage } from '../src/stage.fixture.ts';
import { WriteQueue } from '../src/produce/write-queue.ts';

let stage: Stage;
beforeEach(async () => {
  stage = await Stage.open();
});
afterEach(() => stage.clear());

const write = { path: 'a.bin', size: '4KiB' } as const;

/** What a method is called with as it should be, but for options; each argument is then left out or another. */
const RIGHT: Record<string, (queue: WriteQueue) => Promise<unknown[]>> = {
  connect: async () => [],
  add: async () => [write],
  addBulk: async () => [[write]],
  setCapacity: async () => [{ bytes: null }],
  capacity: async () => [],
  addFlow: async () => [{ shards: [write], manifest: { path: 'm.json' } }],
  schedule: async () => ['nightly', { every: 3_600_000 }, write],
  unschedule: async () => ['none'],
  schedules: async () => [],
  watch: async () => ['nobody'],
  cancel: async (queue) => [await queue.add(write)],
  pause: async (queue) => [await queue.add(write)],
  resume: async (queue) => [await queue.add(write)],
  limit: async (queue) => [await queue.add(write), '1MiB'],
  limitHost: async () => ['disk-3', { bytesPerSecond: 1 }],
  limitRoot: async () => ['data', { bytesPerSecond: 1 }],
  workers: async () => [],
  standstill: async () => [],
  lostJobs: async () => [],
  hosts: async () => [],
  job: async () => ['nobody'],
  list: async () => [{}],
  show: async (queue) => [await queue.add(write)],
  retry: async (queue) => {
    const id = await queue.add(write);
    await queue.cancel(id);
    return [id];
  },
  remove: async (queue) => [await queue.add(write)],
  clean: async () => [{ olderThanMs: 0 }],
};

const METHODS = Object.getOwnPropertyNames(WriteQueue.prototype).filter(
  (name) => name !== 'constructor' && name !== 'close',
);

/** What a call comes to: an error's name and message, or null. */
async function outcome(queue: WriteQueue, method: string, args: unknown[]): Promise<string | null> {
  try {
    const called: unknown = Reflect.apply(Reflect.get(queue, method) as () => unknown, queue, args);
    if (method === 'watch' || method === 'list') await (called as AsyncGenerator).next();
    else await called;
    return null;
  } catch (error) {
    return `${(error as Error).name}: ${(error as Error).message}`;
  }
}

test('every method takes options that are left out, undefined or null', async () => {
  const queue = stage.queue();
  expect(METHODS.toSorted()).toEqual(Object.keys(RIGHT).toSorted());
  for (const method of METHODS) {
    const length = Reflect.get(WriteQueue.prototype, method).length as number;
    for (const left of [[], [undefined], [null]]) {
      const args = await RIGHT[method]!(queue);
      const told = await outcome(queue, method, args.length < length + 1 ? [...args, ...left] : args);
      if (method === 'watch') expect(told).toMatch(/^UnknownJobError/);
      else expect([method, left, told]).toEqual([method, left, null]);
    }
  }
});

test('an argument that is left out, or is something else, is either taken or refused by the name of a field', async () => {
  const queue = stage.queue();
  for (const method of METHODS) {
    const right = await RIGHT[method]!(queue);
    for (const [index] of right.entries()) {
      for (const wrong of [undefined, null, 5, true, {}, [], Symbol('a')]) {
        const told = await outcome(queue, method, right.with(index, wrong));
        expect([method, index, wrong, told]).toEqual([
          method,
          index,
          wrong,
          told === null
            ? null
            : expect.stringMatching(/^(?:RequestError: [\w. ]+: |RangeError: a capacity|UnknownJobError)/),
        ]);
      }
    }
  }
});

test('a queue is not made without knowing where', () => {
  for (const options of [undefined, null, 5, {}, { connection: null }, { connection: 'redis://localhost' }]) {
    const refusal = expect.objectContaining({ name: 'RequestError', field: 'connection' });
    expect(() => new WriteQueue(options as never)).toThrow(refusal);
  }
});
