/** Keeps a host on the queue for as long as a command waits for its write. */
import { setTimeout as delay } from 'node:timers/promises';
import type { TwinHostError } from '@penstock/queue';
import type { AppProcess } from './app-process.ts';

/** How often it is asked who serves the queue: a host that another command had started may end with it. */
const POLL_MS = 1000;
/** A host that puts a job back is about to end, and counts until it has: for some seconds it is asked more often. */
const HURRIED_POLL_MS = 50;
const HURRY_MS = 3000;
/** After so many deaths of hosts that it started, it starts no more. */
const DEATHS_MAX = 3;

export interface HostKeeperOptions {
  /** How many workers serve the queue now. */
  workers: () => Promise<number>;
  /** Starts a host; given up when `signal` is aborted. */
  start: (signal: AbortSignal) => Promise<Pick<AppProcess, 'ended' | 'outcome' | 'stop'>>;
  say: (text: string) => void;
  /** Aborted when the waiting is over from outside: a host that ends then is not missed. */
  signal: AbortSignal;
  pollMs?: number;
}

export class HostKeeper {
  readonly #options: HostKeeperOptions;
  readonly #stopping = new AbortController();
  readonly #over: AbortSignal;
  #host: Pick<AppProcess, 'ended' | 'outcome' | 'stop'> | null = null;
  #keeping: Promise<void> | null = null;
  #deaths = 0;
  /** In time of performance.now(). */
  #hurriedUntil = 0;
  #wake: () => void = () => {};

  constructor(options: HostKeeperOptions) {
    this.#options = options;
    this.#over = AbortSignal.any([options.signal, this.#stopping.signal]);
  }

  /** True if the host that serves the queue is ours, or was until it ended. */
  get ownsHost(): boolean {
    return this.#host !== null;
  }

  /** Starts a host if nobody serves the queue. Resolves with whether somebody else does. */
  async ensure(): Promise<boolean> {
    return (await this.#options.workers()) > 0 || !(await this.start());
  }

  /** Starts a host without asking whether there is one. Resolves with false if another has its name, and so takes writes. */
  async start(): Promise<boolean> {
    try {
      this.#host = await this.#options.start(this.#over);
      return true;
    } catch (error) {
      // Two commands may start one at once: the second waits for the first's. If that is just ending, keep() sees it.
      if ((error as Partial<TwinHostError>).code !== 'ETWINHOST') throw error;
      return false;
    }
  }

  /** To be called when the write waits: its host may be about to end. */
  hurry(): void {
    this.#hurriedUntil = performance.now() + HURRY_MS;
    this.#wake();
  }

  /** Starts a host whenever none serves the queue, until stopped. @throws when a host cannot be started, or dies again and again */
  keep(): Promise<void> {
    this.#keeping ??= this.#keep();
    return this.#keeping;
  }

  async #keep(): Promise<void> {
    const signal = this.#over;
    while (!signal.aborted) {
      await this.#pause(signal);
      if (signal.aborted) return;
      this.#mourn();
      if (this.#host === null && !(await this.#isServed()) && !signal.aborted) {
        await this.start();
      }
    }
  }

  /** Until it is time to ask again, or something has happened. */
  async #pause(signal: AbortSignal): Promise<void> {
    const over = new AbortController();
    const woken = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    const isHurried = this.#host === null && performance.now() < this.#hurriedUntil;
    const ms = isHurried ? HURRIED_POLL_MS : (this.#options.pollMs ?? POLL_MS);
    const due = delay(ms, undefined, { signal: AbortSignal.any([signal, over.signal]) }).catch(() => {});
    const ended = this.#host?.ended ?? new Promise<never>(() => {});
    await Promise.race([ended, woken, due]);
    over.abort();
  }

  async #isServed(): Promise<boolean> {
    try {
      return (await this.#options.workers()) > 0;
    } catch {
      return true; // not known: its Redis may be on its way up, and is asked again
    }
  }

  #mourn(): void {
    if (this.#host === null || this.#host.outcome === null) return;
    const how = `the host ended unexpectedly (${this.#host.outcome})`;
    this.#host = null;
    this.#deaths += 1;
    if (this.#deaths === DEATHS_MAX) throw new Error(`${how}, the ${DEATHS_MAX}rd time: the write stays in the queue`);
    this.#options.say(`${how}; another one is started`);
  }

  /** Stops asking, and stops the host if it is ours. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#keeping?.catch(() => {}); // keep() itself has rejected with it
    await this.#host?.stop();
  }
}
