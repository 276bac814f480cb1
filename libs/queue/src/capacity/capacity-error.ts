/** The error of a producer whose jobs do not fit into the queue. */
import { formatBytes } from '@penstock/contract';
import type { Admitted } from './scripts.ts';

/** The queue has no room for the jobs. */
export class CapacityError extends Error {
  override readonly name: string = 'CapacityError';
  readonly code = 'EQUEUEFULL';
  /** False for jobs that are larger than the whole limit. */
  readonly retryable: boolean;
  readonly askedBytes: number;
  readonly usedBytes: number;
  readonly limitBytes: number;

  constructor({ outcome, askedBytes, usedBytes, limitBytes }: Admitted, waitedMs?: number) {
    const figures = `${formatBytes(askedBytes)} asked, ${formatBytes(usedBytes)} of ${formatBytes(limitBytes)} in use`;
    const waited = waitedMs === undefined ? '' : `, also after ${Math.round(waitedMs)} ms`;
    const advice =
      outcome === 'too large'
        ? 'It is more than the whole limit: ask for less at a time, or raise it (penstock capacity).'
        : 'Try again when writes have ended, or raise the limit (penstock capacity).';
    super(`The queue is full: ${figures}${waited}. ${advice}`);
    this.retryable = outcome !== 'too large';
    this.askedBytes = askedBytes;
    this.usedBytes = usedBytes;
    this.limitBytes = limitBytes;
  }
}
