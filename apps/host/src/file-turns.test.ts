import { expect, test } from '@jest/globals';
import { parseJob } from '@penstock/contract/judging';
import { FileTurns, type TurnApplicant, wantedFile } from './file-turns.ts';

const applicant = (createdAtMs: number, more: Partial<TurnApplicant> = {}): TurnApplicant => ({
  path: '/data/a.log',
  createdAtMs,
  whenAborted: () => {},
  ...more,
});

test('writes that want one file have their turns one at a time, the oldest first, each as the one before it ends', async () => {
  const turns = new FileTurns(40);
  const order: number[] = [];
  let inside = 0;
  const one = async (createdAtMs: number): Promise<void> => {
    const turn = await turns.take('a', applicant(createdAtMs));
    expect((inside += 1)).toBe(1);
    order.push(createdAtMs);
    await new Promise(setImmediate);
    inside -= 1;
    turn!.end();
  };
  await Promise.all([3, 9, 1, 7, 5].map(one));
  expect(order).toEqual([3, 1, 5, 7, 9]);
  const turn = await turns.take('a', applicant(1)); // it is free
  turn!.end();
});

test('few wait at a time and none for long; they are refused as by the lock itself, and other files are not', async () => {
  const turns = new FileTurns(4, 30);
  const turn = await turns.take('a', applicant(1));
  const waits = turns.take('a', applicant(2));
  await expect(turns.take('a', applicant(3))).rejects.toMatchObject({
    code: 'EBUSY',
    syscall: 'fcntl',
    retryable: true,
  });
  (await turns.take('b', applicant(4)))!.end();
  await expect(waits).rejects.toMatchObject({ code: 'EBUSY', path: '/data/a.log' });
  turn!.end();
  (await turns.take('a', applicant(5)))!.end();
});

test('one that is aborted while it waits goes on without a turn, and holds up no other', async () => {
  const turns = new FileTurns(40);
  const turn = await turns.take('a', applicant(1));
  let abort: () => void = () => {};
  const aborted = turns.take('a', applicant(2, { whenAborted: (listener) => (abort = listener) }));
  const next = turns.take('a', applicant(3));
  abort();
  expect(await aborted).toBeNull();
  turn!.end();
  (await next)!.end();
});

test('what is wanted is the file of a single write in place', () => {
  expect(wantedFile(parseJob({ path: 'a', size: 1, mode: 'append' }))).toBe('data\0a');
  expect(wantedFile(parseJob({ path: 'a', size: 1, publish: 'in-place' }))).toBe('data\0a');
  expect(wantedFile(parseJob({ path: 'a', size: 1 }))).toBeNull();
  expect(wantedFile(parseJob({ files: [{ path: 'a' }], size: 1, mode: 'append' }))).toBeNull();
});

test('if another process has the lock, the write whose turn it is tries again for a while, and no other does', async () => {
  const turns = new FileTurns(40, 400);
  const held = Object.assign(new Error('held'), { code: 'EBUSY', syscall: 'fcntl' });
  let tries = 0;
  const turn = (await turns.take('a', applicant(1)))!;
  const end = turn.hold(async () => {
    tries += 1;
    if (tries < 3) throw held;
    return 'written';
  });
  expect(await end).toBe('written');
  await expect(turn.hold(() => Promise.reject(held))).rejects.toBe(held);
  await expect(turn.hold(() => Promise.reject(new Error('else')))).rejects.toThrow('else');
  turn.end();
});
