/** The same promise on each file system, for however many cuts. */
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from '@jest/globals';
import { has, mayMount } from '../support/loop-disk.fixture.ts';
import { DISKS, type DiskKind, type TrialFigures, type TrialSettings, tryPowerCuts } from './power-trial.ts';

const scratch = fileURLToPath(new URL('../../.cache/scratch/', import.meta.url));

/** Why a disk of this kind cannot be made here; '' where it can. */
function whyNot(make: string): string {
  if (!mayMount()) return ' (skipped: only root may mount, and needs loop devices)';
  if (!existsSync('/dev/fuse')) return ' (skipped: there is no /dev/fuse)';
  return has(make) ? '' : ` (skipped: ${make} is not installed)`;
}

/** A test with a directory of its own, where such a disk can be made. */
export function testOnDisk(
  kind: DiskKind,
  nameOf: (disk: string) => string,
  body: (home: string, kind: DiskKind) => Promise<void>,
  timeoutMs = 180_000,
): void {
  const reason = whyNot(kind.make[0]!);
  (reason === '' ? test : test.skip)(
    nameOf(kind.name) + reason,
    async () => {
      mkdirSync(scratch, { recursive: true });
      const home = mkdtempSync(join(scratch, 'power-'));
      try {
        await body(home, kind);
      } finally {
        rmSync(home, { recursive: true });
      }
    },
    timeoutMs,
  );
}

/** The promise of every file system; the figures are printed. */
export function testPowerCuts(
  settings: TrialSettings,
  timeoutMs: number,
  judge: (figures: TrialFigures) => void,
): void {
  for (const kind of Object.values(DISKS)) {
    testOnDisk(
      kind,
      (disk) => `on ${disk} every acknowledged file is whole after a power cut, whatever was not flushed`,
      async (home) => {
        const figures = await tryPowerCuts(home, kind, settings);
        const { lost, ...counts } = figures;
        console.log(JSON.stringify({ ...counts, lost: lost.length }));
        judge(figures);
      },
      timeoutMs,
    );
  }
}
