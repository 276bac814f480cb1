import { constants } from 'node:os';
import { setImmediate } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { FreeingTable, TO_CLOSE } from '@penstock/matrix';
import { Freeing } from '../device/freeing.ts';
import { SpaceWait } from './space-wait.ts';

const { EDQUOT, EIO, ENOSPC } = constants.errno;
const device = { major: 1, minor: 1 };
const never = (): boolean => false;

function setUp(stalledMs = 60_000): {
  table: FreeingTable;
  wait: SpaceWait;
  order: (minor?: number) => void;
  wakes: number[];
} {
  const table = new FreeingTable(1);
  const wakes: number[] = [];
  const thread = {
    freeing: new Freeing(table, 0, () => {}, stalledMs),
    loop: { wakeAt: (time: number) => wakes.push(time) },
  };
  const order = (minor = 1): void => {
    table.order(0, { fd: -1, device: (1 << 20) | minor, bytes: 1, end: TO_CLOSE }, never);
  };
  return { table, wait: new SpaceWait(thread, device), order, wakes };
}

test('what finds no space is tried again only when something was freed', () => {
  const { table, wait, order, wakes } = setUp();
  order();
  order();
  let calls = 0;
  const refused = (): number => ((calls += 1), -ENOSPC);
  expect([wait.attempt(refused), wait.attempt(refused), wait.attempt(refused)]).toEqual([null, null, null]);
  expect(calls).toBe(1);
  expect(wakes).toHaveLength(3); // in each turn of the loop
  table.finish(table.take(), 0);
  expect(wait.attempt(refused)).toBeNull();
  expect(calls).toBe(2);
  table.finish(table.take(), 0);
  expect(wait.attempt(() => 5)).toBe(5);
});

test.each([
  ['a quota', -EDQUOT, null],
  ['another failure', -EIO, -EIO],
])('%s: is it waited for?', (_name, errno, expected) => {
  const { wait, order } = setUp();
  order();
  expect(wait.attempt(() => errno)).toBe(expected);
});

test('nothing is waited for if only another file system is becoming free', () => {
  const { wait, order } = setUp();
  order(2);
  expect(wait.attempt(() => -ENOSPC)).toBe(-ENOSPC);
});

test('what became free while the call failed is not missed', () => {
  const { table, wait, order } = setUp();
  order();
  const results = [-ENOSPC, 0];
  const reserves = (): number => {
    const result = results.shift()!;
    if (result < 0) table.finish(table.take(), 0);
    return result;
  };
  expect(wait.attempt(reserves)).toBe(0);
});

test('when nothing at all was freed for too long, it is tried once more, and the failure stands', () => {
  const { wait, order } = setUp(0);
  order();
  expect(wait.attempt(() => -ENOSPC)).toBe(-ENOSPC);
});

test('space that comes a moment after the last file was closed is still waited for, as the loop is woken for it, but not for ever', async () => {
  const { table, wait, order, wakes } = setUp();
  const attempts = async (reserves: () => number): Promise<number> => {
    let result = wait.attempt(reserves);
    while (result === null) {
      await setImmediate();
      result = wait.attempt(reserves);
    }
    return result;
  };
  for (const expected of [0, -ENOSPC]) {
    order();
    expect(wait.attempt(() => -ENOSPC)).toBeNull();
    table.finish(table.take(), 0);
    const early = wakes.splice(0).at(-1);
    let calls = 0;
    expect(await attempts(() => ((calls += 1) > 2 ? expected : -ENOSPC))).toBe(expected);
    expect(calls).toBeGreaterThan(2);
    expect(Math.min(...wakes)).toBeLessThan(early!);
  }
});
