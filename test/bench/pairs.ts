/** The method: the subject and its peer take turns in one run, after a warm-up each; only medians and ratios count. */
import { performance } from 'node:perf_hooks';

/** One measured run: how much work it did, in how long, for how much CPU. */
export interface Sample {
  /** Units of work a second: MiB/s, writes/s or jobs/s, as the case says. */
  rate: number;
  /** CPU seconds of every process that took part. */
  cpuSeconds: number;
}

export type Runner = () => Promise<Sample>;

export interface PairedResult {
  subject: Sample[];
  peer: Sample[];
  subjectMedian: number;
  peerMedian: number;
  /** The median of the ratios pair by pair: the machine's drift falls out. */
  ratio: number;
  /** CPU seconds of the subject for one of the peer's, medians. */
  cpuRatio: number;
  tookMs: number;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Runs both `pairs` times, alternating, the order swapped every pair so that neither always follows the other. */
export async function runPairs(subject: Runner, peer: Runner, pairs: number, warmups: number): Promise<PairedResult> {
  const started = performance.now();
  for (let index = 0; index < warmups; index += 1) {
    await subject();
    await peer();
  }
  const ours: Sample[] = [];
  const theirs: Sample[] = [];
  for (let index = 0; index < pairs; index += 1) {
    if (index % 2 === 0) {
      ours.push(await subject());
      theirs.push(await peer());
    } else {
      theirs.push(await peer());
      ours.push(await subject());
    }
  }
  return {
    subject: ours,
    peer: theirs,
    subjectMedian: median(ours.map((sample) => sample.rate)),
    peerMedian: median(theirs.map((sample) => sample.rate)),
    ratio: median(ours.map((sample, index) => sample.rate / theirs[index]!.rate)),
    cpuRatio: median(ours.map((sample) => sample.cpuSeconds)) / median(theirs.map((sample) => sample.cpuSeconds)),
    tookMs: performance.now() - started,
  };
}
