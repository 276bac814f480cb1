import { createHook } from 'node:async_hooks';
import { execFile } from 'node:child_process';
import { readdirSync, readlinkSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';
import { native } from '@penstock/native';
import { type FreeingOrder, FreeingTable, TO_CLOSE } from '@penstock/matrix';
import { Freer } from './freer.ts';

const never = (): boolean => false;
const orderOf = (fd: number) => ({ fd, device: 1, bytes: 10, end: TO_CLOSE });

const isOpen = (fd: number): boolean => {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`).includes('freer-test');
  } catch {
    return false;
  }
};
const threads = (): number => readdirSync('/proc/self/task').length;

test('it frees what is in the table, of a thread too that died before it could report it, and its own thread ends with it', async () => {
  await stat('.'); // libuv's own threads come with the first call that needs them
  const before = threads();
  let freed = 0;
  const freer = new Freer(2, () => (freed += 1));
  expect(freer.whenFreed()).toBeNull();
  const fds = [0, 1, 1].map((thread) => {
    const fd = native.memfdCreate('freer-test');
    expect(freer.table.order(thread, orderOf(fd), never)).toBeGreaterThanOrEqual(0);
    return fd;
  });
  expect(freer.table.bytesLeft()).toBe(30);
  freer.look();
  await freer.whenFreed();
  await freer.close();
  expect(fds.filter(isOpen)).toEqual([]);
  expect(freed).toBe(3);
  expect(freer.table.isBusy).toBe(false);
  expect(threads()).toBeLessThanOrEqual(before);
});

test('after several files there is one timer by which the idle thread ends: no other ends it while it frees again', async () => {
  const freed: true[] = [];
  const freer = new Freer(1, () => freed.push(true));
  freer.table.order(0, orderOf(native.memfdCreate('freer-test')), never);
  freer.look();
  await freer.whenFreed();
  const timers = new Set<number>();
  const hook = createHook({
    init: (id, type) => void (type === 'Timeout' && timers.add(id)),
    destroy: (id) => void timers.delete(id),
  });
  hook.enable();
  for (let file = 0; file < 3; file += 1) {
    freer.table.order(0, orderOf(native.memfdCreate('freer-test')), never);
  }
  freer.look();
  while (freer.table.isBusy); // so that all are freed before the first message is read
  while (freed.length < 4) await setImmediate();
  await setImmediate(); // destroy is called then
  expect(timers.size).toBe(1);
  hook.disable();
  await freer.close();
});

test('a cut comes before what is only to be closed, since a write waits for it', () => {
  const { table } = new Freer(1, () => {});
  const slots = [TO_CLOSE, TO_CLOSE, 5].map((end) => table.order(0, { ...orderOf(-1), end }, never));
  expect(table.take()).toBe(slots[2]);
  expect(table.resultOf(slots[2]!)).toBeNull();
  table.finish(slots[2]!, -28);
  expect(table.resultOf(slots[2]!)).toBe(-28);
  expect([table.take(), table.take(), table.take()]).toEqual([slots[0], slots[1], -1]);
});

test('a slot whose result is still to be looked at is not given to the next order', () => {
  const { table } = new Freer(1, () => {});
  const slot = table.order(0, { ...orderOf(-1), end: 0 }, never);
  table.finish(table.take(), 0);
  expect(table.order(0, orderOf(-1), (kept) => kept === slot)).not.toBe(slot);
});

test('an order that another thread takes in the same moment, as one that was asked to end may, is not taken twice', () => {
  const { table } = new Freer(1, () => {});
  let ofOther = -1;
  class Raced extends FreeingTable {
    override orderIn(slot: number): FreeingOrder {
      if (ofOther === -1) ofOther = table.take();
      return super.orderIn(slot);
    }
  }
  const slot = table.order(0, orderOf(-1), never);
  expect(new Raced(1, table.buffer).take()).toBe(-1);
  expect(ofOther).toBe(slot);
});

test('where no descriptor is left for its thread the process lives, and what was ordered is freed once some are', async () => {
  const fixture = fileURLToPath(new URL('starved.fixture.mjs', import.meta.url));
  const command = 'ulimit -n 500; exec "$0" "$@"';
  const { stdout } = await promisify(execFile)('sh', ['-c', command, process.execPath, fixture], { timeout: 60_000 });
  expect(JSON.parse(stdout)).toEqual(['waits', 'waits']);
}, 90_000);
