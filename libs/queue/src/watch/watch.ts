/** One watch of a job: what is reported of it, from a snapshot of the job and the stream's events after that. */
import type { JobResult, WireError, WriteProgress } from '@penstock/contract';
import { foreignResult, isProgress, jobResultOf } from '../jobs/foreign.ts';
import { unknown, vanished } from '../jobs/job-errors.ts';
import { errorOf } from './failed-reason.ts';
import { isAfter, type Snapshot, timeOf } from './snapshot.ts';

/** What is reported of a job that is followed. */
export type WatchEvent =
  /**
   * It waits in the queue. With a note it was begun, and waits for what somebody else must end, such as a full disk; the
   * attempt does not count, and it is tried again after `delayMs`.
   */
  | { type: 'waiting'; note?: string; delayMs?: number }
  | { type: 'active' }
  | { type: 'progress'; progress: WriteProgress }
  /** An attempt failed, and another will be made. `attempt` is the one that failed, 1 for the first. */
  | { type: 'retrying'; error: WireError; attempt: number; delayMs: number }
  | { type: 'completed'; result: JobResult }
  /**
   * It failed for good. A cancelled one has the error code ECANCELED, and `by` and `why` say who cancelled it and the
   * reason; one that a worker of another program has completed has EFOREIGNRESULT.
   */
  | { type: 'failed'; error: WireError; attemptsMade: number };

/** An event of the queue's stream, as far as it concerns a watch. */
export type JobEvent =
  | { name: 'waiting'; prev: string | undefined }
  | { name: 'active' }
  | { name: 'delayed'; until: number }
  | { name: 'progress'; progress: WriteProgress }
  | { name: 'completed'; returnvalue: unknown }
  | { name: 'failed'; failedReason: string }
  | { name: 'removed' };

/**
 * A state machine without I/O: `adopt` and `apply` take what Redis reports, `follow` yields what comes of it.
 */
export class Watch {
  readonly jobId: string;
  /** The position of the stream up to which everything is known; null before the first snapshot. */
  position: string | null = null;
  /** What came before the first snapshot. */
  readonly #early: { at: string; event: JobEvent }[] = [];
  #state: 'waiting' | 'active' | null = null;
  #attemptsMade = 0;
  /** Why the attempt under way failed, once that is known: it precedes the job's move out of 'active'. */
  #error: WireError | null = null;
  /** What it waits for, by its last progress; reported if it is delayed next. */
  #note: string | undefined;

  readonly #ready: WatchEvent[] = [];
  #ended = false;
  #failure: { reason: unknown } | null = null;
  #wake: () => void = () => {};

  constructor(jobId: string) {
    this.jobId = jobId;
  }

  /** Yields until the job has ended; rejects if the watch cannot go on. */
  async *follow(): AsyncGenerator<WatchEvent, void, undefined> {
    for (;;) {
      const event = this.#ready.shift();
      if (event !== undefined) {
        yield event;
      } else if (this.#failure !== null) {
        throw this.#failure.reason;
      } else if (this.#ended) {
        return;
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }

  fail(reason: unknown): void {
    this.#failure ??= { reason };
    this.#wake();
  }

  /** Takes the job as Redis has it; events up to the snapshot's position are part of it, and are not applied. */
  adopt(snapshot: Snapshot): void {
    if (this.#ended) return;
    const first = this.position === null;
    this.position = snapshot.at; // further back than before, if Redis came back without its latest
    if (Object.keys(snapshot.job).length === 0) {
      this.fail(first ? unknown(this.jobId) : vanished(this.jobId));
      return;
    }
    this.#adoptState(snapshot);
    for (const { at, event } of this.#early.splice(0)) this.apply(at, event);
  }

  #adoptState({ at, job, state, delayedUntil }: Snapshot): void {
    const progress = parse(job['progress']);
    this.#attemptsMade = Number(job['atm'] ?? 0);
    this.#error = isProgress(progress) ? (progress.error ?? null) : null;
    this.#note = isProgress(progress) ? noteOf(progress) : undefined;
    if (state === 'completed') {
      this.#endCompleted(parse(job['returnvalue']));
    } else if (state === 'failed') {
      this.#endFailed(job['failedReason'] ?? '', this.#attemptsMade);
    } else {
      if (delayedUntil !== null && this.#error !== null) this.#retrying(delayedUntil - timeOf(at), this.#attemptsMade);
      else if (delayedUntil !== null) this.#putOff(delayedUntil - timeOf(at));
      this.#enter(state);
      if (state === 'active' && isProgress(progress)) this.#push({ type: 'progress', progress });
    }
  }

  apply(at: string, event: JobEvent): void {
    if (this.position === null) {
      this.#early.push({ at, event });
      return;
    }
    if (this.#ended || !isAfter(at, this.position)) return;
    this.position = at;
    switch (event.name) {
      case 'active':
        this.#error = null;
        this.#note = undefined;
        this.#enter('active');
        break;
      case 'progress':
        this.#error = event.progress.error ?? null;
        this.#note = noteOf(event.progress);
        this.#push({ type: 'progress', progress: event.progress });
        break;
      case 'delayed':
        if (this.#error === null) this.#putOff(event.until - timeOf(at));
        this.#leftActive(event.until - timeOf(at));
        break;
      case 'waiting':
        if (event.prev === 'active') this.#leftActive(0);
        else this.#enter('waiting');
        break;
      case 'completed':
        this.#endCompleted(event.returnvalue);
        break;
      case 'failed':
        this.#endFailed(event.failedReason, this.#attemptsMade + 1);
        break;
      case 'removed':
        this.fail(vanished(this.jobId));
        break;
    }
  }

  /** Without an error of its attempt it was put back: by a shutdown, or because it stalled. */
  #leftActive(delayMs: number): void {
    if (this.#error !== null) {
      this.#attemptsMade += 1;
      this.#retrying(delayMs, this.#attemptsMade);
    }
    this.#enter('waiting');
  }

  /** Reports what it waits for, if its progress said so. */
  #putOff(delayMs: number): void {
    if (this.#note === undefined) return;
    this.#state = 'waiting';
    this.#push({ type: 'waiting', note: this.#note, delayMs: Math.max(0, delayMs) });
    this.#note = undefined;
  }

  #retrying(delayMs: number, attempt: number): void {
    if (this.#error === null) return;
    this.#push({ type: 'retrying', error: this.#error, attempt, delayMs: Math.max(0, delayMs) });
    this.#error = null;
  }

  #enter(state: 'waiting' | 'active'): void {
    if (this.#state === state) return;
    this.#state = state;
    this.#push({ type: state });
  }

  #endCompleted(returned: unknown): void {
    const result = jobResultOf(returned);
    if (result !== null) this.#end({ type: 'completed', result });
    else {
      const error = foreignResult(this.jobId, returned);
      this.#end({ type: 'failed', error, attemptsMade: this.#attemptsMade + 1 });
    }
  }

  #endFailed(failedReason: string, attemptsMade: number): void {
    const error = this.#error?.message === failedReason ? this.#error : errorOf(failedReason);
    this.#end({ type: 'failed', error, attemptsMade });
  }

  #end(event: WatchEvent): void {
    this.#push(event);
    this.#ended = true;
  }

  #push(event: WatchEvent): void {
    const last = this.#ready.at(-1);
    // A slow reader gets the newest progress, not all there was; one that holds an error is never left out.
    if (event.type === 'progress' && last?.type === 'progress' && last.progress.error === undefined) this.#ready.pop();
    this.#ready.push(event);
    this.#wake();
  }
}

const noteOf = ({ phase, note }: WriteProgress): string | undefined => (phase === 'waiting' ? note : undefined);

function parse(json: string | undefined): unknown {
  if (json === undefined) return undefined;
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}
