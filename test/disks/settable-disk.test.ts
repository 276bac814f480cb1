import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { SettableDisk, whyNoDisk } from './settable-disk.ts';

const scratch = fileURLToPath(new URL('../../.cache/scratch/', import.meta.url));
const reason = whyNoDisk();
const testWithDisk = reason === '' ? test : test.skip;

let home: string;
let disk: SettableDisk;

beforeEach(async () => {
  if (reason !== '') return;
  mkdirSync(scratch, { recursive: true });
  home = mkdtempSync(join(scratch, 'disks-'));
  disk = await SettableDisk.make(home);
});
afterEach(async () => {
  if (reason !== '') return;
  await disk.close();
  expect(readFileSync('/proc/self/mountinfo', 'latin1')).not.toContain(home);
  rmSync(home, { recursive: true });
});

/** Direct writes of `kib` KiB in one go, by another process. */
const write = (kib: number): Promise<unknown> =>
  promisify(execFile)('dd', [
    'if=/dev/zero',
    `of=${disk.mount}/file`,
    'oflag=direct',
    'conv=notrunc',
    `bs=${kib}k`,
    'count=1',
  ]);

testWithDisk(
  'a disk of settable speed takes what it was set to, and what waits profits by a new one' + reason,
  async () => {
    await write(1024); // its blocks are there from now on
    await disk.setRate(2_097_152);
    let begunAt = performance.now();
    await write(1024);
    expect(performance.now() - begunAt).toBeGreaterThan(450);
    await disk.setRate(10_240);
    begunAt = performance.now();
    const slow = write(1024);
    while ((await disk.figures()).waiting === 0) await setTimeout(5);
    await disk.setRate(null);
    await slow;
    expect(performance.now() - begunAt).toBeLessThan(60_000); // and not 100 seconds
  },
);

testWithDisk(
  'a frozen disk answers nothing until it is thawed, and one that is set to fail its writes fails them' + reason,
  async () => {
    await write(64);
    await disk.freeze();
    let ended = false;
    const waits = write(64).finally(() => {
      ended = true;
    });
    while ((await disk.figures()).waiting === 0) await setTimeout(5);
    await setTimeout(200);
    expect(ended).toBe(false);
    await disk.thaw();
    await waits;
    await disk.fail({ write: 'EIO' });
    await expect(write(64)).rejects.toThrow('Input/output error');
  },
);

testWithDisk('a disk whose owner ends without closing it unmounts itself, frozen or not' + reason, async () => {
  await disk.freeze();
  disk.abandon();
  while (readFileSync('/proc/self/mountinfo', 'latin1').includes(home)) await setTimeout(20);
});
