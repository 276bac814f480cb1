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
  /** Of the peer that counts. */
  peer: Sample[];
  /** Which of the peers that is: the one of the highest median rate. */
  peerIndex: number;
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

/** Of a figure that both saw, named with its unit or without: the median of the ratios pair by pair; null if there is none. */
export function figureRatio({ subject, peer }: PairedResult, name: string): number | null {
  const full = Object.keys(subject[0]?.figures ?? {}).find((each) => each === name || each.startsWith(`${name} `));
  if (full === undefined) return null;
  return median(subject.map(({ figures }, index) => figures[full]! / (peer[index]!.figures[full] ?? NaN)));
}

/**
 * Runs all `pairs` times, in turns, the order reversed every round so that neither always follows the other. Of several
 * peers, as one program in several settings, the one of the highest median rate is what the subject is compared with.
 */
export async function runPairs(
  subject: Side,
  peers: readonly Side[],
  { pairs, warmups, settle }: PairsPlan,
): Promise<PairedResult> {
  const sides = [subject, ...peers];
  const samples: Sample[][] = sides.map(() => []);
  const sample = async (index: number): Promise<Sample> => {
    await sides[index]!.prepare();
    await settle();
    return sides[index]!.run();
  };
  const order = [...sides.keys()];
  for (let round = 0; round < warmups; round += 1) for (const index of order) await sample(index);
  for (let round = 0; round < pairs; round += 1) {
    for (const index of round % 2 === 0 ? order : order.toReversed()) samples[index]!.push(await sample(index));
  }
  const [subjectMedian = 0, ...peerMedians] = samples.map((each) => median(each.map(({ rate }) => rate)));
  const peerMedian = Math.max(...peerMedians);
  const peerIndex = peerMedians.indexOf(peerMedian);
  const ours = samples[0]!;
  const theirs = samples[peerIndex + 1]!;
  return {
    subject: ours,
    peer: theirs,
    peerIndex,
    subjectMedian,
    peerMedian,
    ratio: median(ours.map(({ rate }, index) => rate / theirs[index]!.rate)),
    cpuRatio: median(ours.map(cpuSecondsIn)) / median(theirs.map(cpuSecondsIn)),
  };
}
