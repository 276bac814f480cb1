/** Steering on slow disks in every way that bytes come and go, through the pool, the queue and the library; and patience. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { JobRequestInput } from '@penstock/contract';
import { STOP_CANCEL, STOP_SHUTDOWN } from '@penstock/matrix';
import { WriteQueue } from '@penstock/queue';
import { openWriter } from 'penstock';
import { patternBytes } from '../../support/expected-bytes.ts';
import { whyNoDisk } from '../../disks/settable-disk.ts';
import { System } from '../../support/system.ts';
import { MIB, SlowDisks, untilMoved } from './slow-disk.fixture.ts';

const reason = whyNoDisk();
const testWithDisks = reason === '' ? test : test.skip;

let disks: SlowDisks;
beforeEach(() => {
  disks = new SlowDisks();
});
afterEach(() => disks.close());

const ways: [string, JobRequestInput][] = [
  ['rows of 8 MiB', { path: 'a', root: '0', size: 128 * MIB, matrix: { rows: 4, rowBytes: 8 * MIB } }],
  ['rows of 4 KiB', { path: 'a', root: '0', size: 128 * MIB, matrix: { rows: 32, rowBytes: 4096 } }],
  ['a checksum', { path: 'a', root: '0', size: 128 * MIB, checksum: 'crc32c' }],
  ['a copy', { path: 'a', root: '0', source: { kind: 'file', root: '0', path: 'source', reflink: 'never' } }],
  [
    'a bulk',
    { root: '0', size: 65_536, files: Array.from({ length: 900 }, (_, index) => ({ path: `bulk/${index}` })) },
  ],
];

for (const [way, request] of ways)
  testWithDisks(
    `${way}: cancel, pause and stop take effect within a second at 2 and at 10 MiB/s` + reason,
    async () => {
      const disk = await disks.disk({ sizeBytes: 512 * MIB });
      disks.open();
      await disks.run('source', { root: '0', path: 'source', size: 128 * MIB }).done;
      await disks.pool!.close();
      for (const rate of [2 * MIB, 10 * MIB]) {
        for (const word of [STOP_CANCEL, STOP_SHUTDOWN, 0]) {
          disks.open(); // one that has not met the disk while it was fast
          await disk.setRate(rate);
          const running = disks.run(`${rate}-${word}`, request);
          await untilMoved(running, rate);
          const paused = async (): Promise<void> => {
            while (running.block.read().phase !== 'paused') await setTimeout(5);
          };
          const order = (): void => (word === 0 ? running.block.pause(true) : running.block.requestStop(word));
          const stopped = await disks.stop(running, disk, order, word === 0 ? paused() : running.outcome);
          expect(stopped.bytes / rate).toBeLessThan(1);
          await disk.setRate(null);
          running.block.requestStop(STOP_CANCEL);
          running.wake();
          await running.outcome;
          await disks.pool!.close();
        }
      }
      expect(disks.deaths).toEqual([]);
    },
  );

testWithDisks('through the queue a cancel takes effect within a second at 2 MiB/s' + reason, async () => {
  const disk = await disks.disk();
  const system = await System.open();
  const queue = new WriteQueue({ connection: { socketPath: system.redis.socketPath } });
  try {
    await system.host(['--threads', '1', '--root', `slow=${disk.mount}`]);
    await disk.setRate(2 * MIB);
    const job = await system.add({ path: 'large', root: 'slow', size: 128 * MIB });
    await system.progressOf(job, ({ bytesWritten = 0 }) => bytesWritten > 3 * MIB);
    const before = (await disk.figures()).bytesWritten;
    await queue.cancel(job.id!, { by: 'ann', why: 'the disk is slow' });
    const end = await system.finished(job);
    // With the way there and back, each of which is a message.
    expect(((await disk.figures()).bytesWritten - before) / (2 * MIB)).toBeLessThan(1.5);
    expect(end.failedReason).toContain('cancelled by ann');
  } finally {
    await disk.setRate(null);
    await queue.close();
    await system.close();
  }
});

testWithDisks(
  "through the library's AbortSignal a cancel takes effect within a second at 2 MiB/s" + reason,
  async () => {
    const disk = await disks.disk();
    const writer = await openWriter({ threads: 1 });
    try {
      await disk.setRate(2 * MIB);
      const abort = new AbortController();
      const source = { kind: 'pattern', pattern: 'stamp', seed: 7 } as const;
      let before = Promise.resolve({ bytesWritten: 0 });
      const onProgress = ({ bytesWritten }: { bytesWritten: number }): void => {
        if (bytesWritten < 3 * MIB || abort.signal.aborted) return;
        before = disk.figures();
        abort.abort();
      };
      const options = { size: 128 * MIB, signal: abort.signal, onProgress };
      await expect(writer.writeFile(join(disk.mount, 'large'), source, options)).rejects.toMatchObject({
        name: 'AbortError',
      });
      const moved = (await disk.figures()).bytesWritten - (await before).bytesWritten;
      expect(moved / (2 * MIB)).toBeLessThan(1);
    } finally {
      await disk.setRate(null);
      await writer.close();
    }
  },
);

testWithDisks(
  'a thread that writes slowly for half a minute is not ended, and each of its files is whole' + reason,
  async () => {
    const disk = await disks.disk();
    disks.open();
    await disk.setRate(MIB);
    const source = { kind: 'pattern', pattern: 'stamp', seed: 7 } as const;
    const size = 24 * MIB;
    const writes = ['a', 'b', 'c'].map((path) => disks.run(path, { root: '0', path, size, source }));
    await setTimeout(30_000);
    writes[0]!.block.requestStop(STOP_CANCEL);
    writes[0]!.wake();
    expect(await writes[0]!.outcome).toMatchObject({ code: 'ECANCELED' });
    await disk.setRate(null);
    await Promise.all(writes.slice(1).map(({ done }) => done));
    for (const path of ['b', 'c']) {
      const found = readFileSync(join(disk.mount, path));
      expect(Buffer.compare(found, patternBytes('stamp', 7, size))).toBe(0);
    }
    expect(disks.deaths).toEqual([]);
  },
);
