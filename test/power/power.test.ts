// Power cuts on disks that remember what they did, and what they may lose: whole files compared. As root only: they are
// mounted. `npm run test:long` tries many more of them.
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from '@jest/globals';
import { openWriter } from 'penstock';
import { run } from '../support/loop-disk.fixture.ts';
import { Recording } from './power-cut.ts';
import { testOnDisk, testPowerCuts } from './power.fixture.ts';
import { DISKS } from './power-trial.ts';
import { RecordedDisk } from './recorded-disk.ts';

testPowerCuts({ seed: 20_261_128, writes: 120, cuts: 3 }, 180_000, (figures) => {
  expect(figures.lost).toEqual([]);
  expect(figures.acknowledged).toBeGreaterThan(80);
  expect(figures.compared).toBeGreaterThan(30);
});

testOnDisk(
  DISKS.unjournaled,
  (name) => `on ${name} a file that was replaced owns no block on the disk once its successor is acknowledged`,
  async (home, kind) => {
    const disk = await RecordedDisk.open(home, kind.make, kind.sizeBytes, 'defaults');
    const replaced: { inode: number; position: number }[] = [];
    try {
      const writer = await openWriter({ threads: 1 });
      const write = (name: string, size: number): Promise<unknown> =>
        writer.writeFile(join(disk.mount, name), { kind: 'pattern', pattern: 'stamp' }, { size });
      for (const size of [4096, 2_000_000]) {
        await write(`${size}`, size);
        const inode = statSync(join(disk.mount, `${size}`)).ino;
        await write(`${size}`, size);
        replaced.push({ inode, position: disk.position });
      }
      await writer.close();
    } finally {
      await disk.close();
    }
    const recording = new Recording(disk.recordingPath, join(home, 'durable'), kind.sizeBytes);
    for (const { inode, position } of replaced) {
      const image = join(home, `${inode}.img`);
      recording.cut(image, position, 'lost', kind.atomBytes, () => 0);
      expect(run('debugfs', '-R', `stat <${inode}>`, image)).toMatch(/Links: 0 /);
    }
    recording.close();
  },
);
