import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { JobResult } from '@penstock/contract';
import { parseRequest } from '@penstock/contract/judging';
import { askNobody, NO_JOB } from '@penstock/sink';
import type { WriterTask } from '../protocol.ts';
import { Session } from './session.ts';

// The far end of the port is this test's: it plays the thread.
let session: Session;
let received: unknown[];
let returned: number[];
beforeEach(() => {
  session = new Session({
    askQueue: askNobody,
    onReturn: ({ jobSlot }) => returned.push(jobSlot),
    onFreeing: () => {},
  });
  received = [];
  returned = [];
});
afterEach(() => {
  session.close();
});

const task = (jobSlot: number): WriterTask => ({
  request: parseRequest({ path: `${jobSlot}.dat`, size: 1 }),
  jobKey: 'key',
  attemptToken: 'token',
  again: false,
  job: NO_JOB,
  partPlace: 0,
  jobSlot,
});
const result = { bytes: 1 } as JobResult;

/** Resolves with the next message that reaches the thread. */
const nextMessage = (): Promise<unknown> =>
  new Promise((resolve) => {
    session.far.once('message', (message) => {
      received.push(message);
      resolve(message);
    });
  });

test('tasks of one turn go out in one message, and each answer ends its own', async () => {
  const outcomes = [session.run(task(3)), session.run(task(7))];
  expect(session.running).toBe(2);
  expect(await nextMessage()).toMatchObject([{ jobSlot: 3 }, { jobSlot: 7 }]);
  const error = { name: 'IoError', code: 'ENOSPC', message: 'full', retryable: true };
  session.far.postMessage([
    { jobSlot: 7, ok: true, result },
    { jobSlot: 3, ok: false, error },
  ]);
  await expect(outcomes[0]).rejects.toMatchObject({ code: 'ENOSPC' });
  await expect(outcomes[1]).resolves.toEqual(result);
  expect(session.running).toBe(0);
});

test("an answer that comes after the thread's death was dealt with is nobody's, and harms none", async () => {
  const first = session.run(task(1));
  const [left] = session.takeUnanswered();
  left!.reject(new Error('died'));
  await expect(first).rejects.toThrow('died');
  const second = session.run(task(2));
  session.far.postMessage([
    { jobSlot: 1, ok: true, result },
    { jobSlot: 2, ok: true, result },
  ]);
  await expect(second).resolves.toEqual(result);
});

test('a session is ready when its thread says which it is', async () => {
  let ready = false;
  void session.ready.then(() => {
    ready = true;
    return null;
  });
  const outcome = session.run(task(1));
  await nextMessage();
  expect(ready).toBe(false);
  session.far.postMessage({ threadIndex: 1 });
  await session.ready;
  expect(session.threadIndex).toBe(1);
  expect(session.running).toBe(1);
  session.far.postMessage([{ jobSlot: 1, ok: true, result }]);
  await expect(outcome).resolves.toEqual(result);
});

test('a task that is left behind rejects at once, and is told of once more when the thread answers it', async () => {
  const outcome = session.run(task(3)).catch((error: unknown) => error);
  expect(session.leave(3, new Error('left'))).toBe(true);
  expect(session.leave(3, new Error('again'))).toBe(false);
  expect(await outcome).toMatchObject({ message: 'left' });
  expect([session.running, session.leftBehind, session.isLeft(3)]).toEqual([1, 1, true]);
  const other = session.run(task(4));
  session.far.postMessage([
    { jobSlot: 3, ok: true, result },
    { jobSlot: 4, ok: true, result },
  ]);
  await other;
  expect(returned).toEqual([3]);
  expect([session.running, session.leftBehind]).toEqual([0, 0]);
});
