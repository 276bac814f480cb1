/** Whether a root was calibrated, and what came of it. */
import { readProfile } from '@penstock/config/tuning';
import { formatBytes } from '@penstock/contract';
import type { RootConfig } from '@penstock/disk';
import { type Finding, ok, warn } from './finding.ts';

export function checkCalibration(root: RootConfig, dataDirectory: string): Finding {
  const what = `root ${root.name}: calibration`;
  const command = `penstock calibrate ${root.name}=${root.path}`;
  const { profile, fault } = readProfile(dataDirectory, root);
  if (fault !== null) return warn(what, `${fault}: not used`, `measure it again: ${command}`);
  // The defaults are good ones: without a calibration nothing is wrong.
  if (profile === null) return ok(what, `none, the defaults hold; to measure: ${command}`);
  const { threads, depth, rows, rowBytes } = profile.winner;
  const figures = `threads ${threads}, depth ${depth}, ${rows} rows of ${formatBytes(rowBytes)}`;
  return ok(what, `${figures}, measured ${profile.measuredAt.slice(0, 10)}`);
}
