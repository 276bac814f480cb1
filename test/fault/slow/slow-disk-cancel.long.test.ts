/** What a slow disk is let have: bytes in flight that it carries out in about half a second. */
import { readdirSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { STOP_CANCEL } from '@penstock/matrix';
import { whyNoDisk } from '../../disks/settable-disk.ts';
import { MIB, SlowDisks, untilMoved } from './slow-disk.fixture.ts';

const reason = whyNoDisk();
const testWithDisks = reason === '' ? test : test.skip;

let disks: SlowDisks;
beforeEach(() => {
  disks = new SlowDisks();
});
afterEach(() => disks.close());

testWithDisks('a cancel takes effect within a second at 2 and at 10 MiB/s, and leaves nothing' + reason, async () => {
  const disk = await disks.disk();
  disks.open();
  for (const rate of [2 * MIB, 10 * MIB]) {
    await disk.setRate(rate);
    const running = disks.run(`${rate}`, { root: '0', path: 'large', size: 128 * MIB });
    await untilMoved(running, rate);
    const stopped = await disks.stop(running, disk, () => running.block.requestStop(STOP_CANCEL), running.outcome);
    expect(stopped.outcome).toMatchObject({ code: 'ECANCELED', message: 'the write was cancelled' });
    // Of a second; what the file system writes for itself counts as well.
    expect(stopped.bytes / rate).toBeLessThan(1);
    await disk.setRate(null);
    expect(readdirSync(disk.mount)).toEqual(['lost+found']);
  }
  expect(disks.deaths).toEqual([]);
});

testWithDisks(
  'a cancel takes effect within a second through the page cache too, whose flush would take as long as it is large' +
    reason,
  async () => {
    const disk = await disks.disk();
    const rate = 2 * MIB;
    for (const engine of ['auto', 'positional'] as const) {
      disks.open({ engine, roots: [{ name: '0', path: disk.mount, writable: true, direct: 'off' }] });
      await disk.setRate(rate);
      const running = disks.run(engine, { root: '0', path: 'large', size: 128 * MIB });
      await untilMoved(running, 3 * MIB);
      const stopped = await disks.stop(running, disk, () => running.block.requestStop(STOP_CANCEL), running.outcome);
      expect(stopped.outcome).toMatchObject({ code: 'ECANCELED' });
      expect(stopped.bytes / rate).toBeLessThan(1);
      await disk.setRate(null);
      await disks.pool!.close();
    }
  },
);

testWithDisks(
  'a write to a fast disk goes on beside those that keep their thread waiting for a slow one' + reason,
  async () => {
    const [slow] = [await disks.disk(), await disks.disk()];
    disks.open();
    await slow.setRate(2 * MIB);
    const held = [0, 1].map((index) => disks.run(`slow${index}`, { root: '0', path: `${index}`, size: 48 * MIB }));
    await untilMoved(held[0]!, MIB);
    const before = (await slow.figures()).bytesWritten;
    for (let round = 0; round < 4; round += 1) {
      const fast = disks.run(`fast${round}`, { root: '1', path: 'fast', mode: 'replace', size: 32 * MIB });
      expect(await fast.outcome).toMatchObject({ bytes: 32 * MIB });
    }
    // 128 MiB there in the time of a few here. Were all slots the slow disk's, it would be the other way about.
    expect((await slow.figures()).bytesWritten - before).toBeLessThan(16 * MIB);
    for (const { block } of held) block.requestStop(STOP_CANCEL);
    for (const running of held) running.wake();
    await Promise.all(held.map(({ outcome }) => outcome));
  },
);
