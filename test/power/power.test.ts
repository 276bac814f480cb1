// Power cuts on disks that remember what they did, and what they may lose: whole files compared. As root only: they are
// mounted. `npm run test:long` tries many more of them.
import { spawnSync } from 'node:child_process';
import { closeSync, fsyncSync, openSync, readdirSync, rmSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from '@jest/globals';
import { openWriter } from 'penstock';
import { run } from '../support/loop-disk.fixture.ts';
import { Recording } from './power-cut.ts';
import { Seeded } from '../soak/seeded.ts';
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

/** Makes and flushes small files, among them neighbours in the inode table of what was made last, or is made next. */
function flushNeighbours(directory: string, name: string): void {
  for (const index of [0, 1, 2]) {
    const fd = openSync(join(directory, `${name}${index}`), 'w');
    writeSync(fd, 'x');
    fsyncSync(fd);
    closeSync(fd);
  }
}

testOnDisk(
  { ...DISKS.ext2, sizeBytes: 16_777_216 },
  (name) => `on ${name} a file that is being written lists no block of an earlier file, whatever was not flushed of it`,
  async (home, kind) => {
    const disk = await RecordedDisk.open(home, kind.make, kind.sizeBytes, 'defaults');
    let inode = 0;
    let begunAt = 0;
    let position = 0;
    try {
      const filler = join(disk.mount, 'filler');
      const fd = openSync(filler, 'w');
      for (let mebibytes = 0; mebibytes < 13; mebibytes += 1) writeSync(fd, Buffer.alloc(1_048_576, 0xff));
      fsyncSync(fd);
      closeSync(fd);
      rmSync(filler);
      run('sync', '--file-system', disk.mount);
      flushNeighbours(disk.mount, 'before');
      const writer = await openWriter({ threads: 1 });
      let noteWritten: () => void;
      const written = new Promise<void>((resolve) => {
        noteWritten = resolve;
      });
      const pieces = async function* (): AsyncGenerator<Uint8Array> {
        for (let piece = 0; piece < 10; piece += 1) yield Buffer.alloc(65_536, piece);
        await written;
        inode = statSync(
          join(
            disk.mount,
            readdirSync(disk.mount).find((name) => name.endsWith('.part'))!,
          ),
        ).ino;
        flushNeighbours(disk.mount, 'after');
        position = disk.position;
        yield Buffer.alloc(65_536, 10);
      };
      begunAt = disk.position;
      await writer.writeFile(join(disk.mount, 'a'), pieces(), {
        size: 720_896,
        matrix: { rows: 2, rowBytes: 65_536 },
        onProgress: ({ bytesWritten }) => {
          if (bytesWritten >= 655_360) noteWritten();
        },
      });
      await writer.close();
    } finally {
      await disk.close();
    }
    const recording = new Recording(disk.recordingPath, join(home, 'durable'), kind.sizeBytes);
    const image = join(home, 'image');
    const random = new Seeded(1);
    const illegal: string[] = [];
    for (let at = begunAt; at <= position; at += 1) {
      for (const tear of ['lost', 'torn', 'torn'] as const) {
        recording.cut(image, at, tear, kind.atomBytes, () => random.next());
        const { stdout } = spawnSync('e2fsck', ['-fn', image], { encoding: 'utf8' });
        if (stdout.includes('llegal block')) illegal.push(`${at} ${tear}`);
      }
    }
    expect(illegal).toEqual([]);
    recording.cut(image, position, 'lost', kind.atomBytes, () => 0);
    recording.close();
    const stat = run('debugfs', '-R', `stat <${inode}>`, image);
    expect(stat).toContain('(DIND)');
    expect(stat).toContain('Flags: 0x0');
  },
);
