/** The method: the subject and its peer take turns in one run, after a warm-up each; only medians and ratios count. */
import type { ProcessUsage } from './processes.ts';

/** One measured run: how much work it did, in how long, for how much CPU. */
export interface Sample {
  /** Units of work a second, as the case says. */
  rate: number;
  /** Every process that took part. */
  processes: ProcessUsage[];
  /** What else was seen, by a name that ends in its unit. */
  figures: Record<string, number>;
}

/** One of the two that are compared. */
export interface Side {
  /** Before the clock starts: removes what the last run left, and puts ready what the next one needs. */
  prepare: () => Promise<void>;
  run: () => Promise<Sample>;
}

export interface PairedResult {
  subject: Sample[];
  peer: Sample[];
  subjectMedian: number;
  peerMedian: number;
  /** The median of the ratios pair by pair: the machine's drift falls out. */
  ratio: number;
  /** CPU seconds of the subject for one of the peer's, medians. */
  cpuRatio: number;
}

export interface PairsPlan {
  pairs: number;
  warmups: number;
  /** Brings the machine to rest between a side's preparation and its run. */
  settle: () => Promise<void>;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

function cpuSecondsIn({ processes }: Sample): number {
  return processes.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0);
}

/** Runs both `pairs` times, alternating, the order swapped every pair so that neither always follows the other. */
export async function runPairs(
  subject: Side,
  peer: Side,
  { pairs, warmups, settle }: PairsPlan,
): Promise<PairedResult> {
  const sample = async (side: Side): Promise<Sample> => {
    await side.prepare();
    await settle();
    return side.run();
  };
  for (let index = 0; index < warmups; index += 1) {
    await sample(subject);
    await sample(peer);
  }
  const ours: Sample[] = [];
  const theirs: Sample[] = [];
  for (let index = 0; index < pairs; index += 1) {
    if (index % 2 === 0) {
      ours.push(await sample(subject));
      theirs.push(await sample(peer));
    } else {
      theirs.push(await sample(peer));
      ours.push(await sample(subject));
    }
  }
  return {
    subject: ours,
    peer: theirs,
    subjectMedian: median(ours.map(({ rate }) => rate)),
    peerMedian: median(theirs.map(({ rate }) => rate)),
    ratio: median(ours.map(({ rate }, index) => rate / theirs[index]!.rate)),
    cpuRatio: median(ours.map(cpuSecondsIn)) / median(theirs.map(cpuSecondsIn)),
  };
}
