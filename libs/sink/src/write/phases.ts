/** The phases of a write as numbers, in their order, and how long each took. */
import { performance } from 'node:perf_hooks';
import { PHASES } from '@penstock/contract';

export const OPENING: number = PHASES.indexOf('opening');
export const WAITING: number = PHASES.indexOf('waiting');
export const WRITING: number = PHASES.indexOf('writing');
export const SYNCING: number = PHASES.indexOf('syncing');
export const VERIFYING: number = PHASES.indexOf('verifying');
export const PUBLISHING: number = PHASES.indexOf('publishing');
export const DONE: number = PHASES.indexOf('done');
export const PAUSED: number = PHASES.indexOf('paused');

export class PhaseClock {
  /** The phase that the write is in. */
  phase: number = OPENING;
  /** Milliseconds spent, by phase. */
  readonly ms: Float64Array = new Float64Array(PHASES.length);
  #since: number = performance.now();

  enter(phase: number): void {
    const now = performance.now();
    this.ms[this.phase]! += now - this.#since;
    this.#since = now;
    this.phase = phase;
  }
}
