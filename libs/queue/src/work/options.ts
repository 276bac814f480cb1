/** What a worker is given: which queue, how many jobs at once, what performs them, and what is reported to whom. */
import type { Connection } from '../connection/address.ts';
import type { HostVitals } from '../hosts/record.ts';
import type { TwinHostError } from '../hosts/twin-error.ts';
import type { StandingLimits } from '../steer/order.ts';
import type { Perform } from './executor.ts';
import type { JobLimit } from './job-limit.ts';

export interface WriteWorkerOptions {
  connection: Connection;
  /** BullMQ's key prefix; its default unless given. */
  prefix?: string;
  /** How many jobs may run at once. */
  concurrency: number;
  /** How long a lock lasts that is not renewed; 30,000 unless given. A dead host's jobs wait that long. */
  lockDurationMs?: number;
  /** How often jobs of dead hosts are looked for; 10,000 unless given. */
  stalledIntervalMs?: number;
  /** The name of this host, as the queue's clients see it. */
  host: string;
  /** 'own': takes the writes that are for this host alone; 'any', the default: those for any host. */
  queue?: 'any' | 'own';
  /** Shared with the worker of the other queue: together they never run more jobs at once. */
  jobLimit?: JobLimit;
  /**
   * How long a job may wait in all for what somebody else must end (a full disk, the lock of a file, see verdict.ts), an
   * hour unless given. 0: never, such failures count as attempts like others.
   */
  waitMsMax?: number;
  /**
   * Performs a job. A bulk of which files failed is a result too. It must end soon after it is aborted, having stopped to
   * write; whatever it then rejects with. It rejects with the failure, an Error or already plain data (WireError).
   * `report` may be called at any time and never throws.
   */
  perform: Perform;
  /** Called with the limits of this host and its roots: before the first job is taken, and when they change. */
  onLimits?: (limits: StandingLimits) => void;
  /**
   * Called with a text for the log when the queue stands still, because it was paused or limited, and when it goes on; and
   * once if the ends of jobs cannot be sent to Redis together.
   */
  onNote?: (text: string) => void;
  /** Jobs are taken once this has resolved; not at all if it rejects. If absent, at once. */
  after?: Promise<unknown>;
  /** Called once a second for what this host reports of itself, if the queue is its own. It must be cheap, and never throws. */
  vitals?: () => HostVitals;
  /** If the queue is the host's own: the name is given up, and the last report made, once this has resolved as well. */
  nameKeptUntil?: () => Promise<unknown>;
  /** Called if another process has taken the host's name, which had not reported for ten seconds: this host is to stop. */
  onNameLost?: (error: TwinHostError) => void;
  /** Called with what no job's result shows: a lost connection, a lost lock. Repetitions are left out. */
  onError(error: Error): void;
}

export const LOCK_DURATION_MS_DEFAULT = 30_000;
export const WAIT_MS_MAX_DEFAULT = 3_600_000;
export const STALLED_INTERVAL_MS_DEFAULT = 10_000;
