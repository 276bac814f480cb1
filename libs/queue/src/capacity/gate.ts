// The limit on the bytes of all jobs that have not ended: producers ask before they add, hosts tell when a job is over.
import { formatBytes } from '@penstock/contract';
import type { Admitted, CapacityScripts, Held } from './scripts.ts';

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

/** How long a producer that has to wait for room does so. */
export interface WaitForRoom {
  /** Ends the wait with its reason. */
  signal?: AbortSignal | undefined;
  /** Milliseconds after which a CapacityError ends it; for ever unless given. */
  waitMsMax?: number | undefined;
}

/** How long it is believed that there is no limit: one is heeded a second after it was set. */
const LOOK_MS = 1000;
/** Room that nobody tells of (removed jobs) is looked for this often by the first who waits. */
const SWEEP_MS = 5000;
/** What setTimeout can count to. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/** Knows whether there is a limit at all. Where there is none that is asked once a second at most, and nothing else. */
class Lookout {
  readonly #scripts: CapacityScripts;
  #limited = false;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #looking: Promise<void> | null = null;

  constructor(scripts: CapacityScripts) {
    this.#scripts = scripts;
  }

  /** As far as is known. */
  get limited(): boolean {
    return this.#limited;
  }

  get stale(): boolean {
    return performance.now() - this.#lookedAt > LOOK_MS;
  }

  look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = null;
    });
    return this.#looking;
  }

  async #look(): Promise<void> {
    const askedAt = performance.now();
    this.#limited = await this.#scripts.isLimited();
    this.#lookedAt = askedAt;
  }
}

/** Tells of room; each listener once. */
export interface FreedChannel {
  /** Resolves when it is listened to: what is freed from then on is told. */
  open(listener: () => void): Promise<void>;
  close(): void;
}

/** The producer's side. */
export class CapacityGate {
  readonly #scripts: CapacityScripts;
  readonly #lookout: Lookout;
  readonly #channel: FreedChannel;
  /** Those that wait, in the order in which they came. Only the first of them asks: freed room wakes no crowd. */
  readonly #line: Waiter[] = [];
  #arrivals = 0;
  /** Counts what the channel told. */
  #freedCount = 0;
  #closed = false;

  constructor(scripts: CapacityScripts, channel: FreedChannel) {
    this.#scripts = scripts;
    this.#lookout = new Lookout(scripts);
    this.#channel = channel;
  }

  /** Whether there is a limit to be heeded; null: not known any more, ask `look`. */
  get limited(): boolean | null {
    return this.#lookout.stale ? null : this.#lookout.limited;
  }

  async look(): Promise<boolean> {
    await this.#lookout.look();
    return this.#lookout.limited;
  }

  /** Counts the jobs, all or none. @throws CapacityError; the signal's reason */
  async pass(jobs: readonly Held[], { signal, waitMsMax = Number.POSITIVE_INFINITY }: WaitForRoom = {}): Promise<void> {
    signal?.throwIfAborted();
    const arrival = (this.#arrivals += 1);
    if (this.#line.length === 0) {
      const first = await this.#ask(jobs);
      if (first.outcome !== 'full') return;
      if (first.whenFull === 'reject') throw new CapacityError(first);
    }
    const waiter = new Waiter(arrival, signal, waitMsMax);
    this.#join(waiter);
    try {
      await this.#wait(jobs, waiter);
    } catch (error) {
      // The connection goes with the queue, perhaps before the answer comes.
      throw this.#closed ? new Error('the queue was closed', { cause: error }) : error;
    } finally {
      this.#leave(waiter);
    }
  }

  /** Whoever waits is told that nothing will come of it. */
  close(): void {
    this.#closed = true;
    for (const waiter of this.#line) waiter.wake();
  }

  /** Asks; once more after a look for what nobody will release. */
  async #ask(jobs: readonly Held[]): Promise<Admitted> {
    let answer = await this.#scripts.admit(jobs);
    if (answer.outcome === 'full' && (await this.#scripts.sweep())) answer = await this.#scripts.admit(jobs);
    if (answer.outcome === 'too large') throw new CapacityError(answer);
    return answer;
  }

  /* oxlint-disable no-await-in-loop -- each try follows from what was freed before */
  async #wait(jobs: readonly Held[], waiter: Waiter): Promise<void> {
    for (;;) {
      if (this.#closed) throw new Error('the queue was closed');
      if (this.#line[0] === waiter) {
        await this.#channel.open(() => this.#tellFreed());
        const seen = this.#freedCount;
        const answer = await this.#ask(jobs);
        if (answer.outcome !== 'full') return;
        if (answer.whenFull === 'reject' || waiter.late) throw new CapacityError(answer, waiter.waitedMs);
        if (seen === this.#freedCount) await waiter.next(SWEEP_MS);
      } else {
        await waiter.next();
        if (!waiter.late) continue;
        const answer = await this.#ask(jobs);
        if (answer.outcome !== 'full') return;
        throw new CapacityError(answer, waiter.waitedMs);
      }
    }
  }
  /* oxlint-enable no-await-in-loop */

  /** In the order of arrival: of two that were refused at once, the answers may come either way. */
  #join(waiter: Waiter): void {
    const place = this.#line.findIndex(({ arrival }) => arrival > waiter.arrival);
    this.#line.splice(place === -1 ? this.#line.length : place, 0, waiter);
  }

  #leave(waiter: Waiter): void {
    waiter.end();
    this.#line.splice(this.#line.indexOf(waiter), 1);
    if (this.#line.length === 0) this.#channel.close();
    else this.#line[0]?.wake();
  }

  #tellFreed(): void {
    this.#freedCount += 1;
    this.#line[0]?.wake();
  }
}

/** One who waits: to be woken, for its signal, for the end of its time. */
class Waiter {
  readonly arrival: number;
  readonly #signal: AbortSignal | undefined;
  readonly #begunAt: number = performance.now();
  readonly #endsAt: number;
  #woken = false;
  #resolve: (() => void) | null = null;
  readonly #abort = (): void => this.wake();

  constructor(arrival: number, signal: AbortSignal | undefined, waitMsMax: number) {
    this.arrival = arrival;
    this.#signal = signal;
    this.#endsAt = this.#begunAt + waitMsMax;
    signal?.addEventListener('abort', this.#abort, { once: true });
  }

  get late(): boolean {
    return performance.now() >= this.#endsAt;
  }

  get waitedMs(): number {
    return performance.now() - this.#begunAt;
  }

  wake(): void {
    this.#woken = true;
    this.#resolve?.();
  }

  /** Resolves when woken, after `ms`, or when its time is up. @throws the signal's reason */
  async next(ms: number = Number.POSITIVE_INFINITY): Promise<void> {
    const leftMs = this.#endsAt - performance.now();
    if (!this.#woken && leftMs > 0) {
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        this.#resolve = resolve;
        timer = setTimeout(resolve, Math.min(ms, leftMs + 1, TIMER_MS_MAX));
      });
      clearTimeout(timer);
      this.#resolve = null;
    }
    this.#woken = false;
    this.#signal?.throwIfAborted();
  }

  end(): void {
    this.#signal?.removeEventListener('abort', this.#abort);
  }
}

/** The host's side: tells what is over, all of a turn in one command, and nothing where there is no limit. */
export class CapacityTally {
  readonly #scripts: CapacityScripts;
  readonly #lookout: Lookout;
  readonly #onError: (error: unknown) => void;
  #ended: string[] = [];

  constructor(scripts: CapacityScripts, onError: (error: unknown) => void) {
    this.#scripts = scripts;
    this.#lookout = new Lookout(scripts);
    this.#onError = onError;
    this.#look();
  }

  /** `field` names the job as it was admitted. Never waits: what is missed here is swept up where it is missed. */
  jobEnded(field: string): void {
    if (this.#lookout.stale) this.#look();
    if (!this.#lookout.limited) return;
    if (this.#ended.length === 0) setImmediate(() => this.#release());
    this.#ended.push(field);
  }

  #look(): void {
    this.#lookout.look().catch(this.#onError);
  }

  #release(): void {
    const ended = this.#ended;
    this.#ended = [];
    this.#scripts.release(ended).catch(this.#onError);
  }
}
