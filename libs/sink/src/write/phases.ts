/** The phases of a write as numbers, what a phase answers when it is asked, and how long each took. */
import { performance } from 'node:perf_hooks';
import { PHASES } from '@penstock/contract';

export const WAITING: number = PHASES.indexOf('waiting');
export const OPENING: number = PHASES.indexOf('opening');
export const WRITING: number = PHASES.indexOf('writing');
export const SYNCING: number = PHASES.indexOf('syncing');
export const VERIFYING: number = PHASES.indexOf('verifying');
export const PUBLISHING: number = PHASES.indexOf('publishing');
export const DONE: number = PHASES.indexOf('done');
export const PAUSED: number = PHASES.indexOf('paused');

/** A phase's answer: PREPARED, NOTHING, or the phase that comes next, because this one is over. */
export type Step = number;
/** The slot's iocb is prepared. */
export const PREPARED = -1;
/** There is nothing to prepare now, and the phase goes on. */
export const NOTHING = -2;

export const asStep = (isPrepared: boolean): Step => (isPrepared ? PREPARED : NOTHING);

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
