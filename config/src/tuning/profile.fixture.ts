/** For tests: a profile of a root as it is now. */
import { type RootConfig, deviceOf } from '@penstock/disk';
import type { Profile, Tuning } from './profile.ts';

export function profileOf(root: RootConfig, winner: Partial<Tuning> = {}): Profile {
  const tuning = { threads: 1, depth: 8, rows: 8, rowBytes: 262_144, ...winner };
  return {
    version: 1,
    root: root.name,
    path: root.path,
    device: deviceOf(root.path),
    kernel: '6.1.0',
    measuredAt: '2026-11-23T12:00:00.000Z',
    winner: tuning,
    trials: [{ ...tuning, bytesPerSecond: 1_000_000, samples: 5 }],
  };
}
