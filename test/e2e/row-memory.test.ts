// Row memory: a write that has to wait for it says how much it wants, and how much of the budget others have.
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { System } from '../support/system.ts';

let system: System;
beforeEach(async () => {
  system = await System.open();
});
afterEach(() => system.close());

test('a write that waits for row memory says what it wants, what is in use, and the budget', async () => {
  await system.host(['--threads', '1', '--memory', '8MiB']);
  const matrix = { rows: 6, rowBytes: '1MiB' };
  // Slow enough to hold its rows until the other has been seen waiting.
  const slow = { path: 'a.dat', size: '24MiB', matrix, limit: { bytesPerSecond: '4MiB' } };
  const first = await system.add(slow);
  await system.progressOf(first, (progress) => String(progress['phase']) === 'writing');
  const second = await system.add({ path: 'b.dat', size: '12MiB', matrix });
  const waiting = await system.progressOf(second, (progress) => String(progress['phase']) === 'waiting');
  expect(waiting['note']).toMatch(
    /^waiting for row memory: 6\.\d\d MiB wanted, 6\.\d\d MiB of the thread's 8\.00 MiB in use/,
  );
  for (const job of [first, second]) expect((await system.finished(job)).failedReason).toBeUndefined();
}, 120_000);
