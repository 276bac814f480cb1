/** The side that the cases of small files share: so many files by jobs that wait in a queue until the clock starts. */
import type { Queue, QueueEvents } from 'bullmq';
import type { System } from '../../support/system.ts';
import type { BenchOptions } from '../case.ts';
import type { Sample, Side } from '../pairs.ts';
import { accounted } from '../processes.ts';
import { type BenchHost, openHost } from './host.ts';
import { type SmallFiles, addWaiting, runWaiting, smallWrites } from './small-jobs.ts';

export const THREADS = 2;
export const JOBS_PER_THREAD = 32;
/** Of the peers, each a single process. */
export const CONCURRENCY: number = THREADS * JOBS_PER_THREAD;

export const countOf = ({ smoke }: BenchOptions): number => (smoke ? 100 : 3000);

export const openSmallHost = (system: System): Promise<BenchHost> =>
  openHost(system, ['--threads', String(THREADS), '--jobs', String(JOBS_PER_THREAD)]);

type SmallRun = Pick<Sample, 'rate' | 'figures'>;

export interface SmallSide extends Omit<SmallFiles, 'directory' | 'count'> {
  queue: Queue;
  events: QueueEvents;
  pids: Record<string, number>;
  /** What the directories of this side's files begin with. */
  directory: string;
  /** Before the jobs of a round are added; frees what an earlier one took up, for instance. */
  beforeRound?: (directory: string) => void;
  /** After the clock has stopped. @throws if the files of the round are not what was asked for */
  afterRound?: (directory: string) => void;
  /** What goes on while the jobs run; they alone by default. */
  during?: (run: () => Promise<SmallRun>) => Promise<SmallRun>;
}

/** Jobs for `count` files, put into the queue before the clock starts; the rate is of files. */
export function smallSide(count: number, side: SmallSide): Side {
  const { queue, events, pids, filesPerJob = 1, during = (run) => run(), beforeRound, afterRound, ...files } = side;
  let round = 0;
  let ids: string[] = [];
  const roundDirectory = (): string => `${side.directory}-${round}`;
  return {
    async prepare() {
      // A fresh directory each time, removed at the very end: ext4 searches long for an inode where many were just freed.
      round += 1;
      beforeRound?.(roundDirectory());
      ids = await addWaiting(queue, smallWrites({ ...files, count, filesPerJob, directory: roundDirectory() }));
    },
    async run() {
      const { value, processes } = await accounted(pids, () => during(() => runWaiting(queue, events, ids)));
      afterRound?.(roundDirectory());
      return { ...value, rate: value.rate * filesPerJob, processes };
    },
  };
}
