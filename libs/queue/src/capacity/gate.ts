/** The producer's side of the limit: jobs are counted before they are added, and wait for room if the limit says so. */
import { CapacityError } from './capacity-error.ts';
import type { FreedSubscription } from './freed-subscription.ts';
import { Lookout } from './lookout.ts';
import type { Admitted, CapacityScripts, Held } from './scripts.ts';
import { Waiter } from './waiter.ts';

/** How long a producer that has to wait for room does so. */
export interface WaitForRoom {
  /** Ends the wait with its reason. */
  signal?: AbortSignal | undefined;
  /** Milliseconds after which a CapacityError ends it; for ever unless given. */
  waitMsMax?: number | undefined;
}

/** Room that nobody reports (removed jobs) is searched for this often by the first in the line. */
const SWEEP_MS = 5000;

/** Admits the jobs of one producer, or has it wait in a line. */
export class CapacityGate {
  readonly #scripts: CapacityScripts;
  readonly #lookout: Lookout;
  readonly #freed: FreedSubscription;
  /** Those that wait, in the order in which they came. Only the first of them asks: freed room wakes no crowd. */
  readonly #line: Waiter[] = [];
  #arrivals = 0;
  /** How often room was reported. */
  #freedCount = 0;
  #closed = false;

  constructor(scripts: CapacityScripts, freed: FreedSubscription) {
    this.#scripts = scripts;
    this.#lookout = new Lookout(scripts);
    this.#freed = freed;
  }

  /** Whether there is a limit to be heeded. Asks Redis once a second at most. */
  async isLimited(): Promise<boolean> {
    if (this.#lookout.stale) await this.#lookout.refresh();
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

  /** Ends all waits; they reject. */
  close(): void {
    this.#closed = true;
    for (const waiter of this.#line) waiter.wake();
  }

  /** Asks for room; once more after a sweep, which counts no more what nobody will release. */
  async #ask(jobs: readonly Held[]): Promise<Admitted> {
    let answer = await this.#scripts.admit(jobs);
    if (answer.outcome === 'full' && (await this.#scripts.sweep())) answer = await this.#scripts.admit(jobs);
    if (answer.outcome === 'too large') throw new CapacityError(answer);
    return answer;
  }

  async #wait(jobs: readonly Held[], waiter: Waiter): Promise<void> {
    for (;;) {
      if (this.#closed) throw new Error('the queue was closed');
      if (this.#line[0] === waiter) {
        await this.#freed.open(() => this.#noteFreed());
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

  /** In the order of arrival: of two that were refused at once, the answers may come either way. */
  #join(waiter: Waiter): void {
    const later = this.#line.findIndex(({ arrival }) => arrival > waiter.arrival);
    this.#line.splice(later === -1 ? this.#line.length : later, 0, waiter);
  }

  #leave(waiter: Waiter): void {
    waiter.end();
    this.#line.splice(this.#line.indexOf(waiter), 1);
    if (this.#line.length === 0) this.#freed.close();
    else this.#line[0]?.wake();
  }

  #noteFreed(): void {
    this.#freedCount += 1;
    this.#line[0]?.wake();
  }
}
