/** What calibrating comes to: how long a trial is, what it is worth, and when it is time to stop. */
import { statfsSync } from 'node:fs';
import { defaults } from '@penstock/config';
import { type WriteResult, formatBytes } from '@penstock/contract';
import type { Interrupts } from '../terminal/interrupts.ts';
import { say } from '../terminal/output.ts';
import { type Candidate, type Narrowed, type Sampled, gridFor, narrow } from './narrow.ts';
import { withTrials } from './trials.ts';

/** Long enough for the disk to find its pace, short enough for some fifty of them. */
const TRIAL_MS = 500;
const TRIAL_BYTES_MIN = 16_777_216;
const TRIAL_BYTES_MAX = 1_073_741_824;
/** With less than this a disk is about to fill up, and slower than it was or will be. */
const FREE_BYTES_MIN = 536_870_912;

/**
 * Measures the root for at most `seconds`, and reports each trial to `onTrial`.
 * @throws if there is no room for it, or not one trial could be carried out
 */
export async function measureRoot(
  root: { name: string; path: string },
  tags: number | null,
  seconds: number,
  interrupts: Interrupts,
  onTrial: (trial: Sampled) => void,
): Promise<Narrowed & { winner: Sampled }> {
  const { bavail, bsize } = statfsSync(root.path);
  const bytesMax = trialBytesMax(`root ${root.name} (${root.path})`, bavail * bsize);
  const grid = gridFor(tags, defaults.THREADS);
  const threadsMax = Math.max(...grid.threads);
  const options = { directory: root.path, threadsMax, depthMax: Math.max(...grid.depth), interrupts };
  const narrowed = await withTrials(options, async (tryOut) => {
    const over = AbortSignal.timeout(seconds * 1000);
    let fallbackReason: string | undefined;
    const rate = async (candidate: Candidate, bytes: number): Promise<number | null> => {
      try {
        const results = await tryOut(candidate, bytes, over);
        const reason = results[0]?.fallbackReason;
        if (reason !== undefined && reason !== fallbackReason) say(`not aio-direct: ${reason}`);
        fallbackReason = reason;
        return rateOf(results);
      } catch (error) {
        if (over.aborted && !interrupts.signal.aborted) return null;
        throw error;
      }
    };
    // The first write of a thread makes its context and touches its rows: no trial may be the first.
    const warmUp: Candidate = {
      threads: threadsMax,
      depth: Math.min(...grid.depth),
      rowBytes: Math.max(...grid.rowBytes),
    };
    let bytes = TRIAL_BYTES_MIN * threadsMax;
    for (let times = 0; times < 2; times += 1) {
      // The second trial is as long as the first one's pace asks for.
      const pace = await rate(warmUp, bytes);
      if (pace !== null) bytes = Math.min(bytesMax, Math.max(TRIAL_BYTES_MIN, (pace * TRIAL_MS) / 1000));
    }
    return narrow(grid, async (candidate) => {
      const measured = await rate(candidate, bytes);
      if (measured !== null) onTrial({ ...candidate, samples: [measured] });
      return measured;
    });
  });
  const { winner } = narrowed;
  if (winner === null) throw new Error(`not one trial ended within ${seconds} s: give it more with --seconds`);
  return { ...narrowed, winner };
}

/** The most that a trial may write: half of what is free at most. @throws if that is too little */
export function trialBytesMax(where: string, freeBytes: number): number {
  if (freeBytes >= FREE_BYTES_MIN) return Math.min(TRIAL_BYTES_MAX, freeBytes / 2);
  const wanted = `${formatBytes(FREE_BYTES_MIN)} free, and there are ${formatBytes(freeBytes)}`;
  throw Object.assign(new Error(`to measure ${where} takes ${wanted}`), {
    code: 'ENOSPC',
    hint: 'The trials write up to half of what is free, and remove it again: free some, or calibrate another root.',
  });
}

/** Bytes per second of writes that ran at once: all of them over the time of the one that took longest. */
function rateOf(results: readonly WriteResult[]): number {
  const longestMs = Math.max(...results.map(({ durationsMs: { total, waiting } }) => total - waiting));
  return (results.reduce((sum, { bytes }) => sum + bytes, 0) / longestMs) * 1000;
}
