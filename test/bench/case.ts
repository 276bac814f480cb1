/** What a bench case is: work beside a peer's, or a figure that stands alone. Its target stands in targets.ts. */
import type { System } from '../support/system.ts';
import type { Side } from './pairs.ts';
import type { ProcessUsage } from './processes.ts';
import type { MeasuredName, PairedName, RatioTarget } from './targets.ts';

export interface BenchOptions {
  /** Once and small, to see that it runs. */
  smoke: boolean;
}

interface CaseBase {
  what: string;
  /** Why the case cannot run on this machine, and what to do; null if it can. */
  missing(options: BenchOptions): string | null;
}

export interface OpenedCase {
  subject: Side;
  /** Where there are several, by what sets each apart: the fastest of them counts. */
  peer: Side | Readonly<Record<string, Side>>;
  close: () => Promise<void>;
}

export interface PairedCase extends CaseBase {
  kind: 'paired';
  name: PairedName;
  peer: string;
  unit: 'MiB/s' | 'jobs/s' | 'files/s' | 'starts/min';
  /** Instead of the one in targets.ts. */
  target?: RatioTarget;
  /** Makes all sides ready on a fresh system. */
  open(system: System, options: BenchOptions): Promise<OpenedCase>;
}

export interface Measurement {
  /** In the unit of the target. */
  value: number;
  processes: ProcessUsage[];
  /** What else was seen, by a name that ends in its unit. */
  figures: Record<string, number>;
}

export interface MeasuredCase extends CaseBase {
  kind: 'measured';
  name: MeasuredName;
  measure(system: System, options: BenchOptions): Promise<Measurement>;
}

export type BenchCase = PairedCase | MeasuredCase;
