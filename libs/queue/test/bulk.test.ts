import { type BulkItemResult, type BulkResult, IoError, toWire } from '@penstock/contract';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { collect, Stage } from '../src/stage.fixture.ts';

let stage: Stage;
beforeEach(async () => {
  stage = await Stage.open();
});
afterEach(() => stage.clear());

const ENOSPC = -28;
const EROFS = -30;
const bulk = { size: 1, files: [{ path: 'a' }, { path: 'b' }] };
const soon = { backoff: { type: 'fixed', delay: 10 } };

/** The result of `bulk` in which the files of `errnos` failed. */
function resultOf(errnos: Record<string, number>): BulkResult {
  const items = bulk.files.map(({ path }): BulkItemResult => {
    const errno = errnos[path];
    return errno === undefined
      ? { path, bytes: 1 }
      : { path, error: toWire(new IoError({ syscall: 'pwrite', errno, path })) };
  });
  return {
    items,
    files: 2,
    failed: Object.keys(errnos).length,
    bytes: 2 - Object.keys(errnos).length,
    modes: { 'aio-direct': 1 },
    engine: 'libaio',
    durationsMs: { total: 1 },
    bytesPerSecond: 1,
    filesPerSecond: 1,
    writes: 1,
    reads: 0,
    shortWrites: 0,
    retries: 0,
    submitCalls: 1,
    thread: 0,
  };
}

test('a bulk is one job, stored as its host will carry it out', async () => {
  const queue = stage.queue();
  const job = await queue.job(await queue.add({ ...bulk, size: '1KiB', mode: 'create' }));
  expect(job?.data).toEqual({
    files: bulk.files,
    root: 'data',
    size: 1024,
    source: { kind: 'pattern', pattern: 'zero', seed: 0 },
    mode: 'create',
    durability: 'fdatasync',
  });
  await expect(queue.add({ files: [{ path: 'a' }] })).rejects.toMatchObject({ field: 'files.0.size' });
});

test('a file that may yet be written fails the attempt, and the next one writes all again', async () => {
  const queue = stage.queue();
  await stage.worker(async (_, { attempt }) =>
    attempt === 1 ? resultOf({ a: EROFS, b: ENOSPC }) : resultOf({ a: EROFS }),
  );
  // So long that a watch on a busy machine sees the pause between the two.
  const events = await collect(queue.watch(await queue.add(bulk, { backoff: { type: 'fixed', delay: 1000 } })));
  expect(events).toContainEqual(
    expect.objectContaining({
      type: 'retrying',
      attempt: 1,
      error: expect.objectContaining({
        name: 'BulkError',
        code: 'ENOSPC',
        message: expect.stringMatching(/^2 of 2 files failed; 'b': ENOSPC: /),
      }),
    }),
  );
  expect(events.at(-1)).toEqual({ type: 'completed', result: resultOf({ a: EROFS }) });
});

test('the last attempt completes with what it came to', async () => {
  const queue = stage.queue();
  let attempts = 0;
  await stage.worker(async () => {
    attempts += 1;
    return resultOf({ b: ENOSPC });
  });
  const id = await queue.add(bulk, { ...soon, attempts: 2 });
  expect((await collect(queue.watch(id))).at(-1)).toEqual({ type: 'completed', result: resultOf({ b: ENOSPC }) });
  expect(attempts).toBe(2);
});

test('failures that would come again are not retried, nor is a job of one attempt', async () => {
  const queue = stage.queue();
  let attempts = 0;
  await stage.worker(async () => {
    attempts += 1;
    return resultOf({ a: EROFS });
  });
  expect((await collect(queue.watch(await queue.add(bulk)))).at(-1)).toMatchObject({ type: 'completed' });
  const plain = await stage.plainQueue().add('write', bulk);
  expect((await collect(queue.watch(plain.id!))).at(-1)).toMatchObject({ result: { failed: 1 } });
  expect(attempts).toBe(2);
});
