/** What a bench case is: a promise of DESIGN's target table, its peer, and the floor below which the run fails. */
import type { System } from '../system.ts';
import type { Runner } from './pairs.ts';

export interface BenchCase {
  name: string;
  what: string;
  peer: string;
  unit: string;
  /** The least ratio of subject to peer; a median below it fails the run. */
  floor: number;
  /** The most CPU seconds for one of the peer's, where that is promised too. */
  cpuCeiling?: number;
  /** Why the case cannot run on this machine, and what to do; null where it can. */
  missing(): string | null;
  /** Makes both sides ready on a fresh system. */
  open(system: System, options: { smoke: boolean }): Promise<{ subject: Runner; peer: Runner; close(): Promise<void> }>;
}
