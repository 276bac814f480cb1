import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { WriteAbortedError } from '@penstock/contract';
import { STOP_CANCEL, STOP_LOST, STOP_SHUTDOWN } from '@penstock/matrix';
import { LockLostError } from '@penstock/queue';
import { stopWrite } from './stopping.ts';

/** A write that takes down what it is told. */
function fakeWrite() {
  const told: (number | string)[] = [];
  let killed: () => void = () => {};
  const dead = new Promise<void>((resolve) => {
    killed = resolve;
  });
  const write = {
    block: { requestStop: (stop: number) => void told.push(stop) },
    look: () => void told.push('look'),
    kill: () => {
      told.push('kill');
      killed();
    },
  };
  return { write, told, dead };
}

test('a cancelled write that does not end in time has its thread terminated', async () => {
  const { write, told, dead } = fakeWrite();
  stopWrite(write, new WriteAbortedError('cancel'), 20);
  expect(told).toEqual([STOP_CANCEL, 'look']);
  await dead;
  expect(told).toEqual([STOP_CANCEL, 'look', 'kill']);
});

test('one that ends in time keeps its thread, as does one whose lock is lost or whose host shuts down', async () => {
  const stopped = fakeWrite();
  stopWrite(stopped.write, new WriteAbortedError('cancel'), 20)();
  const lost = fakeWrite();
  stopWrite(lost.write, new LockLostError('1', 'expired'), 20);
  const shutdown = fakeWrite();
  stopWrite(shutdown.write, new WriteAbortedError('shutdown'), 20);
  await delay(60); // the time in which a thread would be ended
  expect(stopped.told).toEqual([STOP_CANCEL, 'look']);
  expect(lost.told).toEqual([STOP_LOST, 'look']);
  expect(shutdown.told).toEqual([STOP_SHUTDOWN, 'look']);
});
