import { setTimeout } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { afterEach, expect, test } from '@jest/globals';
import { native } from '@penstock/native';
import { PHASES } from '@penstock/contract';
import { Control } from './control.ts';
import { type JobBlock, type JobReading, STOP_CANCEL, STOP_NONE } from './job-block.ts';
import { turnTime } from './thread-block.ts';

const workers: Worker[] = [];
afterEach(async () => {
  await Promise.all(workers.splice(0).map((worker) => worker.terminate()));
});

function startThread(role: string, control: Control, more: object = {}): Worker {
  const { threads, jobs, buffer } = control;
  const workerData = { role, threads, jobs, buffer, ...more };
  const worker = new Worker(new URL('thread.fixture.mjs', import.meta.url), { workerData });
  workers.push(worker);
  return worker;
}

const nextMessage = (worker: Worker): Promise<unknown> =>
  new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });

/** Which publish the reading is of; null if its words are of several. */
function countOf({ phase, bytesWritten, bytesDurable, totalBytes, inFlight }: JobReading): number | null {
  const count = bytesWritten / 4_294_967_295;
  const isWhole =
    phase === PHASES[count % 6] &&
    bytesDurable === bytesWritten - count &&
    totalBytes === bytesWritten + count &&
    inFlight === count % 1_000_000;
  return isWhole ? count : null;
}

async function untilPublished(block: JobBlock): Promise<void> {
  while (block.read().bytesWritten === 0) await setTimeout(1);
}

test('a reading is never torn while another thread publishes, and never older than the one before', async () => {
  const control = new Control(1, 1);
  const block = control.job(0);
  startThread('publisher', control);
  await untilPublished(block);
  const bad: unknown[] = [];
  let last = 0;
  let newer = 0;
  // Where one processor must do for both threads a new reading takes a time slice: then the time decides.
  const until = performance.now() + 3000;
  while (newer < 50_000 && performance.now() < until) {
    const reading = block.read();
    const count = countOf(reading);
    if (count === null || count < last) bad.push({ reading, last });
    else if (count > last) newer += 1;
    last = count ?? last;
  }
  expect(bad).toEqual([]);
  expect(newer).toBeGreaterThan(1);
});

test('a writer that dies in the middle of publishing leaves its last whole reading', async () => {
  for (let round = 0; round < 5; round += 1) {
    const control = new Control(1, 1);
    const block = control.job(0);
    const publisher = startThread('publisher', control);
    await untilPublished(block);
    await publisher.terminate();
    const reading = block.read();
    expect(countOf(reading)).toBeGreaterThan(0);
    expect(block.read()).toEqual(reading);
  }
});

test('half a publish is not seen', () => {
  const control = new Control(1, 1);
  const block = control.job(0);
  block.publish(2, 1000, 500, 2000, 3);
  const before = new Int32Array(control.buffer).slice();
  block.publish(3, 7777, 7777, 7777, 7);
  const words = new Int32Array(control.buffer);
  // The sequence is the first word of the block and was stored last: taken back, the publish is as it was before.
  const sequence = words.findIndex((word, index) => word !== before[index]);
  words[sequence] = before[sequence]!;
  expect(block.read()).toEqual({
    phase: 'writing',
    bytesWritten: 1000,
    bytesDurable: 500,
    totalBytes: 2000,
    inFlight: 3,
  });
});

test('bytes are exact up to the largest file', () => {
  const block = new Control(1, 1).job(0);
  for (const bytes of [0, 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1]) {
    block.publish(2, bytes, bytes, bytes, 0);
    expect(block.read()).toMatchObject({ bytesWritten: bytes, bytesDurable: bytes, totalBytes: bytes });
  }
});

test('a thread slot is claimed by one thread only', async () => {
  const control = new Control(4000, 1);
  const gate = new SharedArrayBuffer(4);
  const claimers = [0, 1, 2].map(() => startThread('claimer', control, { gate }));
  await Promise.all(claimers.map(nextMessage));
  const claims = Promise.all(claimers.map(nextMessage)) as Promise<number[][]>;
  Atomics.store(new Int32Array(gate), 0, 1);
  Atomics.notify(new Int32Array(gate), 0);
  const claimed = (await claims).flat();
  expect(claimed.length).toBe(4000);
  expect(new Set(claimed).size).toBe(4000);
  expect(control.claimThread(9)).toBe(-1);
  control.thread(17).release();
  expect(control.claimThread(9)).toBe(17);
  expect([control.thread(17).threadId, control.thread(16).threadId]).toEqual([9, 7]);
});

test('every block has cache lines of its own', () => {
  const control = new Control(3, 4);
  const words = new Int32Array(control.buffer);
  const address = native.addressOf(words);
  const linesOf = (change: () => void): Set<number> => {
    words.fill(0);
    change();
    return new Set(
      [...words.keys()].filter((word) => words[word] !== 0).map((word) => Math.floor((address + word * 4) / 64)),
    );
  };
  const all: number[] = [];
  for (let index = 0; index < 4; index += 1) {
    const block = control.job(index);
    const lines = linesOf(() => {
      for (let times = 0; times < 3; times += 1) block.publish(1, 2 ** 53 - 1, 2 ** 53 - 1, 2 ** 53 - 1, 1);
      for (let fd = 0; fd < 3; fd += 1) block.recordFd(fd, 5);
      block.requestStop(STOP_CANCEL);
    });
    all.push(...lines);
    expect((Math.min(...lines) * 64) % 128).toBe(0);
    expect(lines.size).toBe(2);
  }
  for (let index = 0; index < 3; index += 1) {
    const block = control.thread(index);
    const lines = linesOf(() => {
      block.context = 2 ** 47 - 4096;
      block.inFlight = 1;
      block.turn();
    });
    all.push(...lines);
  }
  expect(new Set(all).size).toBe(all.length);
});

test('the main thread finds context and in-flight count of a thread, and releases its slot', () => {
  const control = new Control(2, 1);
  const index = control.claimThread(41);
  const threads = new Control(2, 1, control.buffer).thread(index); // as the thread itself makes it
  threads.context = 0x7f12_3456_7000;
  threads.inFlight = 31;
  const block = control.thread(index);
  expect([block.threadId, block.context, block.inFlight]).toEqual([41, 0x7f12_3456_7000, 31]);
  block.release();
  expect([block.threadId, block.context, block.inFlight]).toEqual([-1, 0, 0]);
});

test('the main thread learns whether the loop of a thread has turned since it looked last', async () => {
  const control = new Control(2, 1);
  const begunAt = turnTime();
  await setTimeout(5);
  const block = control.thread(control.claimThread(41));
  expect(block.turnedSince(begunAt)).toBe(true); // its claim counts as a turn, its loop is yet to be made
  const lookedAt = turnTime();
  await setTimeout(5);
  expect(block.turnedSince(lookedAt)).toBe(false);
  new Control(2, 1, control.buffer).thread(0).turn();
  expect(block.turnedSince(lookedAt)).toBe(true);
  expect(block.turnedSince((block.turnedAt + 1) | 0)).toBe(false);
});

test('the stop flag and the open descriptors cross over, and reset forgets them with the progress', () => {
  const control = new Control(1, 2);
  const block = control.job(1);
  const threads = new Control(1, 2, control.buffer).job(1);
  expect(threads.stop).toBe(STOP_NONE);
  block.requestStop(STOP_CANCEL);
  expect(threads.stop).toBe(STOP_CANCEL);
  threads.recordFd(0, 0);
  threads.recordFd(2, 21);
  expect(block.openFds()).toEqual([0, 21]);
  threads.recordFd(0, -1);
  expect(block.openFds()).toEqual([21]);
  threads.publish(2, 10, 10, 10, 1);
  block.reset();
  expect([block.openFds(), threads.stop, block.read().bytesWritten]).toEqual([[], STOP_NONE, 0]);
});

test('a mapping crosses over whole, however far up it lies, and is forgotten when it is taken back', () => {
  const block = new Control(1, 1).job(0);
  expect(block.openMapping()).toBeNull();
  for (const mapping of [
    { address: 0x7f12_ffff_f000, lengthBytes: 1 },
    { address: 2 ** 32, lengthBytes: 2 ** 40 + 2 ** 31 + 5 },
  ]) {
    block.recordMapping(mapping);
    expect(block.openMapping()).toEqual(mapping);
  }
  block.recordFd(2, 7);
  block.publish(4, 2 ** 53 - 1, 2 ** 53 - 1, 2 ** 53 - 1, 64);
  expect(block.openMapping()).toEqual({ address: 2 ** 32, lengthBytes: 2 ** 40 + 2 ** 31 + 5 });
  block.recordMapping(null);
  expect(block.openMapping()).toBeNull();
  expect(block.openFds()).toEqual([7]);
});

test("words that are not the block's own cannot be named", () => {
  const control = new Control(2, 3);
  expect(() => control.job(3)).toThrow('no job slot 3');
  expect(() => control.thread(2)).toThrow('no thread slot 2');
  expect(() => control.job(0).recordFd(3, 5)).toThrow('no word for descriptor 3');
  expect(() => new Control(2, 4, control.buffer)).toThrow('another shape');
});

test('what a write waits for is told in whole pages, and nothing of a write that did not have to', () => {
  const job = new Control(1, 2).job(1);
  expect(job.rowsWaitedFor()).toEqual({ wantedBytes: 0, usedBytes: 0 });
  job.waitForRows(40 * 2 ** 30 + 1, 4097);
  expect(job.rowsWaitedFor()).toEqual({ wantedBytes: 40 * 2 ** 30 + 4096, usedBytes: 8192 });
  job.reset();
  expect(job.rowsWaitedFor()).toEqual({ wantedBytes: 0, usedBytes: 0 });
});
