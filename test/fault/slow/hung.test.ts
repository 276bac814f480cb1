// A disk that does not answer beneath one root: more in hung.long.test.ts.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { whyNoDisk } from '../../disks/settable-disk.ts';
import { HungStage, saying } from './hung.fixture.ts';

const reason = whyNoDisk();
const onDisk = reason === '' ? test : test.skip;

let stage: HungStage;
beforeEach(async () => {
  if (reason === '') stage = await HungStage.open();
});
afterEach(async () => {
  if (reason === '') await stage.close();
});

onDisk(
  `while the disk of one root hangs, writes to another all complete, also after a cancel there; it is named within 5 s, and used again once it answers${reason}`,
  async () => {
    const host = await stage.host();
    await stage.system.finished(await stage.write('warm', 'cold'));
    await stage.disk.freeze();
    const frozenAt = performance.now();
    const stuck = await Promise.all([0, 1, 2, 3].map((index) => stage.write(`stuck-${index}`, 'cold', '64MiB')));
    const before = await Promise.all(Array.from({ length: 20 }, (_, index) => stage.write(`before-${index}`, 'data')));
    await saying(host, /root cold cannot be used: it does not answer/, 5000 - (performance.now() - frozenAt));
    for (const job of before) expect((await stage.system.finished(job)).failedReason).toBeUndefined();

    const cancelledAt = performance.now();
    await stage.queue.cancel(stuck[0]!.id!, { by: 'test' });
    const cancelled = await stage.system.finished(stuck[0]!);
    expect(performance.now() - cancelledAt).toBeLessThan(2000);
    expect(cancelled.failedReason).toBe('cancelled by test');
    const after = await Promise.all(Array.from({ length: 20 }, (_, index) => stage.write(`after-${index}`, 'data')));
    for (const job of after) expect((await stage.system.finished(job)).failedReason).toBeUndefined();

    const late = await stage.write('late', 'cold'); // is not begun now, and costs it no attempt
    await stage.system.progressOf(late, (progress) => /file system to answer|root cold/.test(String(progress['note'])));
    await stage.disk.thaw();
    await saying(host, /root cold can be used again/, 10_000);
    for (const job of [...stuck.slice(1), late])
      expect((await stage.system.finished(job)).failedReason).toBeUndefined();
    expect(existsSync(join(stage.disk.mount, 'stuck-0'))).toBe(false);
    expect(host.said()).not.toMatch(/EWRITERDIED|thread ended/);
    expect(await host.end()).toBe(0);
  },
  120_000,
);
