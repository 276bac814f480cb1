/** Keeps a host's name and its record: taken before it serves, renewed once a second, and given up at its end. */
import { setTimeout as delay } from 'node:timers/promises';
import type { ScriptClient } from '../connection/script-client.ts';
import { hasEnded, type Holder, holderIn, thisProcess } from './holder.ts';
import { defineReport, nameKeyOf, reportHost } from './name-script.ts';
import { type HostProcess, type HostState, type HostVitals, recordOf, type Report, SILENT_MS } from './record.ts';
import { registryKey } from './registry.ts';
import { TwinHostError } from './twin-error.ts';

const BEAT_MS = 1000;
/** How long a name is watched that another has: a living host reports meanwhile, and so has it for longer. */
const LOOK_MS = 1500;
/** By so much at least. */
const RENEWED_MS = 300;

export interface HostBeatOptions {
  client: ScriptClient;
  /** Makes the keys of the queue of any host. */
  toKey: (part: string) => string;
  host: string;
  /** Called for each report; if absent, there are none. It must be cheap, and never throws. */
  vitals?: (() => HostVitals) | undefined;
  /** Called once if another process has taken the name: it could, for this one had not reported for ten seconds. */
  onLost: (error: TwinHostError) => void;
  onError: (error: unknown) => void;
}

export class HostBeat {
  readonly #options: HostBeatOptions;
  readonly #process: Holder = thisProcess();
  readonly #startedAtMs = Date.now();
  #state: HostState = 'starting';
  #sickRoots: readonly string[] = [];
  #timer: NodeJS.Timeout | undefined;
  #sending: Promise<void> | null = null;
  /** Something has changed since the report that is being sent was made. */
  #isStale = false;
  #isLost = false;

  private constructor(options: HostBeatOptions) {
    this.#options = options;
    defineReport(options.client);
  }

  /**
   * Resolves once the name is this process' and its first report stands.
   * @throws (rejects with) TwinHostError if a living host has the name; one that ended without giving it up is waited for
   */
  static async begin(options: HostBeatOptions): Promise<HostBeat> {
    const beat = new HostBeat(options);
    await beat.#takeName();
    beat.#timer = setInterval(() => beat.#report(), BEAT_MS).unref();
    return beat;
  }

  /** Reports at once what the host is at. */
  enter(state: HostState): void {
    this.#state = state;
    this.#report();
  }

  /** Reports at once which roots the host cannot use from now on. */
  reportSick(roots: readonly string[]): void {
    this.#sickRoots = roots;
    this.#report();
  }

  /** Gives the name up. Resolves once Redis has it, or has refused. */
  async end(): Promise<void> {
    clearInterval(this.#timer);
    this.#isStale = false;
    await this.#sending;
    if (this.#isLost) return;
    this.#isLost = true; // nothing is reported any more
    this.#state = 'stopped';
    try {
      await this.#send(0);
    } catch (error) {
      this.#options.onError(error);
    }
  }

  async #takeName(): Promise<void> {
    let ended = '';
    // What would be left of the other's time now, had it not reported since the last look.
    let expectedMs = Number.POSITIVE_INFINITY;
    for (;;) {
      const { other } = await this.#send(SILENT_MS, ended);
      if (other === null) return;
      const { leftMs } = other;
      const holder = holderIn(other.holder);
      if (leftMs < 0 || leftMs > expectedMs + RENEWED_MS)
        throw new TwinHostError(this.#options.host, processOf(holder));
      if (holder !== null && hasEnded(holder)) {
        ended = other.holder;
        continue;
      }
      const from = performance.now();
      await delay(Math.min(leftMs + 1, LOOK_MS));
      expectedMs = leftMs - (performance.now() - from);
    }
  }

  #report(): void {
    this.#isStale = true;
    // If Redis is away, the first waits in the client, and others would only wait behind it.
    this.#sending ??= this.#sendAll().finally(() => {
      this.#sending = null;
    });
  }

  async #sendAll(): Promise<void> {
    while (this.#isStale && !this.#isLost) {
      this.#isStale = false;
      try {
        const { other, before } = await this.#send(SILENT_MS);
        if (other !== null) this.#lose(holderIn(other.holder));
        else if (before !== '') this.#judge(before);
      } catch (error) {
        this.#options.onError(error);
      }
    }
  }

  #send(keepMs: number, ended = ''): ReturnType<typeof reportHost> {
    const { client, toKey, host } = this.#options;
    return reportHost(client, {
      registryKey: registryKey(toKey),
      nameKey: nameKeyOf(toKey, host),
      host,
      holder: JSON.stringify(this.#process),
      instance: this.#process.instance,
      record: JSON.stringify(this.#record()),
      keepMs,
      ended,
    });
  }

  #record(): Report {
    const { pid, machine, instance } = this.#process;
    return {
      pid,
      machine,
      instance,
      startedAtMs: this.#startedAtMs,
      state: this.#state,
      sickRoots: this.#sickRoots,
      vitals: this.#options.vitals?.() ?? null,
    };
  }

  #lose(holder: Holder | null): void {
    this.#isLost = true;
    clearInterval(this.#timer);
    this.#options.onLost(new TwinHostError(this.#options.host, processOf(holder)));
  }

  /** Only a host of an earlier version writes into a record without holding the name, and goes on to. */
  #judge(before: string): void {
    const { host, onError } = this.#options;
    const { process: other, vitals } = recordOf(host, before, 0);
    if (this.#state === 'running' && vitals === null) onError(new TwinHostError(host, other));
  }
}

const processOf = (holder: Holder | null): HostProcess | null =>
  holder === null ? null : { pid: holder.pid, machine: holder.machine };
