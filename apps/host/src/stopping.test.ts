import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { WriteAbortedError } from '@penstock/contract';
import { type JobReading, STOP_CANCEL, STOP_LOST, STOP_SHUTDOWN } from '@penstock/matrix';
import { LockLostError } from '@penstock/queue';
import { stopWrite } from './stopping.ts';

let bytes = 0;
/** Of a write to whose rows something comes back all the time. */
const moving = (): JobReading => ({
  phase: 'writing',
  bytesWritten: (bytes += 1),
  bytesDurable: 0,
  totalBytes: 0,
  inFlight: 1,
});
const standing = (): JobReading => ({ ...moving(), bytesWritten: 0 });

/** A write that records its orders. */
function fakeWrite({ silent = false, read = moving } = {}) {
  const orders: unknown[] = [];
  let left: (error: Error) => void = () => {};
  const leaving = new Promise<Error>((resolve) => {
    left = resolve;
  });
  const write = {
    block: { requestStop: (stop: number) => void orders.push(stop), read },
    wake: () => void orders.push('wake'),
    isSilent: () => silent,
    leave: (error: Error) => left(error),
  };
  return { write, orders, leaving };
}

const reasons: [string, Error, number][] = [
  ['cancel', new WriteAbortedError('cancel'), STOP_CANCEL],
  ['shutdown', new WriteAbortedError('shutdown'), STOP_SHUTDOWN],
  ['lost', new LockLostError('1', 'expired'), STOP_LOST],
];
for (const [reason, error, word] of reasons)
  test(`${reason}: a write that does not end in time is left behind, for the same reason`, async () => {
    const { write, orders, leaving } = fakeWrite();
    stopWrite(write, error, 20, true);
    expect(orders).toEqual([word, 'wake']);
    expect(await leaving).toMatchObject({ code: 'ECANCELED', reason });
  });

test('one whose disk is silent is left behind long before that', async () => {
  const { write, leaving } = fakeWrite({ silent: true });
  stopWrite(write, new WriteAbortedError('cancel'), 3_600_000, true);
  expect(await leaving).toMatchObject({ cause: { message: expect.stringContaining('does not answer') } });
});

test('a cancelled one to which nothing comes back is left behind within a second, another is waited for', async () => {
  const hour = 3_600_000;
  const cancelled = fakeWrite({ read: standing });
  const shutDown = fakeWrite({ read: standing });
  const beganAt = performance.now();
  stopWrite(cancelled.write, new WriteAbortedError('cancel'), hour, true);
  const forget = stopWrite(shutDown.write, new WriteAbortedError('shutdown'), hour, true);
  const first = await Promise.race([cancelled.leaving, shutDown.leaving]);
  forget();
  expect(first).toMatchObject({ reason: 'cancel' });
  expect(performance.now() - beganAt).toBeLessThan(1000);
});

test('one that ends in time is not left behind', async () => {
  const { write, leaving } = fakeWrite();
  stopWrite(write, new WriteAbortedError('cancel'), 20, true)();
  const none = delay(60, 'none'); // the time in which it would be
  expect(await Promise.race([leaving, none])).toBe('none');
});

test('a job that was cancelled before it began is waited for: its end reports that what was left is removed', async () => {
  const hour = 3_600_000;
  const sweeping = fakeWrite({ read: standing });
  const cancelled = fakeWrite({ read: standing });
  const forget = stopWrite(sweeping.write, new WriteAbortedError('cancel'), hour, false);
  stopWrite(cancelled.write, new WriteAbortedError('cancel'), hour, true);
  await cancelled.leaving;
  expect(await Promise.race([sweeping.leaving, delay(200, 'waited for')])).toBe('waited for');
  forget();
});
