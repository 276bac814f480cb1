/** What every scenario of the soak is told, and what it makes its hosts of. */
import { execFileSync } from 'node:child_process';
import { hostEntry } from '../support/system.ts';
import type { Findings } from './findings.ts';

/** Short, so that a silent host's job is soon taken up; long enough that a busy machine does not look silent. */
export const LOCK_MS = 1500;
/** A job of a dead host is waited for this long: two lock durations, a start, and a write on a loaded machine. */
export const END_MS_MAX = 180_000;
/** Small against the writes of a soak, so that each has several. */
const CHECKPOINT_BYTES = 8_388_608;

export interface SoakSettings {
  seed: number;
  /** How many kills, freezes and so on. */
  trials: number;
  sizeBytes: number;
}

/** A scenario: runs its trials, tells `findings` what it sees. */
export type Scenario<T = SoakSettings> = (settings: T, findings: Findings) => Promise<void>;

let help: string | undefined;

/** Whether hosts of this version know the option, as their own help says. */
export function hostKnows(option: string): boolean {
  help ??= execFileSync(process.execPath, [hostEntry, '--help'], { encoding: 'utf8' });
  return new RegExp(`^ *${option}\\b`, 'm').test(help);
}

/** The options of every host: few threads, a short lock, checkpoints soon enough to be met, where it makes any. */
export function hostOptions(name: string): string[] {
  const options = ['--name', name, '--threads', '2', '--lock-duration', String(LOCK_MS)];
  if (hostKnows('--checkpoint')) options.push('--checkpoint', String(CHECKPOINT_BYTES));
  return options;
}
