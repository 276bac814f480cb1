/** Every target of the bench, in one place: what is promised, and the figure that fails the run. The cases read it. */

/** For a case that runs beside a peer. */
export interface RatioTarget {
  promise: string;
  /** The least median ratio to the peer's rate; null if the ratio is shown and nothing is promised of it. */
  ratioMin: number | null;
  /** The most CPU seconds for one of the peer's; null likewise. */
  cpuRatioMax: number | null;
  /** The most of what else both saw, for one of the peer's, by name without the unit: latencies. */
  figureRatioMax?: Readonly<Record<string, number>>;
}

/** For a figure that has no peer. */
export interface CeilingTarget {
  promise: string;
  max: number;
  unit: 'ms' | 'us' | 'MiB' | '%';
}

export type PairedName =
  | 'large-1m'
  | 'large-64k'
  | 'large-4k'
  | 'overwrite-1m'
  | 'overwrite-4k'
  | 'node-stream'
  | 'node-handles'
  | 'copy-cp'
  | 'copy-dd'
  | 'copy-cached'
  | 'threads-2'
  | 'jobs-4'
  | 'files-4k'
  | 'files-64k'
  | 'files-1m'
  | 'small-4k'
  | 'bulk-4k'
  | 'small-beside-large'
  | 'start-version'
  | 'start-host'
  | 'write-beside-host'
  | 'write-alone'
  | 'small-beside-replace';

export type MeasuredName = 'event-loop-delay' | 'memory-flat' | 'idle-host' | 'loop-cost' | 'steering' | 'limit-exact';

const asFastAsFio = { promise: 'the queue costs a large write nothing', ratioMin: 1, cpuRatioMax: null };
const aheadOfNode = {
  promise: 'far faster than Node itself, for a quarter of its CPU',
  ratioMin: 1.7,
  cpuRatioMax: 0.25,
};
const aheadOfTools = { promise: 'a copy is faster than the tools of the system', ratioMin: 1.5, cpuRatioMax: null };
const besideInPlace = {
  promise: 'replacing a file atomically costs little more than overwriting its blocks',
  ratioMin: 0.9,
  cpuRatioMax: null,
};
const aheadOfWorker = (ratioMin: number): RatioTarget => ({
  promise: 'worth having instead of a worker on node:fs that is as durable',
  ratioMin,
  cpuRatioMax: null,
});
const shown = (promise: string): RatioTarget => ({ promise, ratioMin: null, cpuRatioMax: null });

export const ratioTargets: Readonly<Record<PairedName, RatioTarget>> = {
  'large-1m': asFastAsFio,
  'large-64k': asFastAsFio,
  'large-4k': asFastAsFio,
  'overwrite-1m': besideInPlace,
  'overwrite-4k': besideInPlace,
  'node-stream': aheadOfNode,
  'node-handles': aheadOfNode,
  'copy-cp': aheadOfTools,
  'copy-dd': aheadOfTools,
  'copy-cached': aheadOfTools,
  'threads-2': shown('what a second thread gains where the first one already fills the device'),
  'jobs-4': shown('what it costs to share a thread between jobs'),
  'files-4k': aheadOfWorker(1.6),
  'files-64k': aheadOfWorker(1.6),
  'files-1m': aheadOfWorker(2),
  'small-4k': { promise: 'a durable file costs little more than its job', ratioMin: 0.6, cpuRatioMax: null },
  'bulk-4k': shown('what many tiny files gain by coming as one job'),
  'small-beside-large': shown('what is left to small files while a large write fills the device'),
  'start-version': shown('what the command line adds to the start of Node'),
  'start-host': shown('what a host adds to it, and what memory it takes at rest'),
  'write-beside-host': shown('what a command of a script costs where a host runs'),
  'write-alone': shown('what it costs where none does'),
  'small-beside-replace': shown('small files are not held up while the blocks of large ones are freed'),
};

export const ceilingTargets: Readonly<Record<MeasuredName, CeilingTarget>> = {
  'event-loop-delay': { promise: 'the main thread stays free while the disk is saturated', max: 10, unit: 'ms' },
  // Some MiB come and go with V8's young generation, whatever is written.
  'memory-flat': { promise: 'memory does not grow with the write', max: 32, unit: 'MiB' },
  'idle-host': { promise: 'a host with nothing to do costs nothing', max: 0.5, unit: '%' },
  'loop-cost': { promise: 'a thread drives a million iocbs a second', max: 1, unit: 'us' },
  steering: { promise: 'cancel, pause, resume and limit act within a second', max: 1000, unit: 'ms' },
  'limit-exact': { promise: 'a limit is kept to, neither passed nor missed', max: 2, unit: '%' },
};
