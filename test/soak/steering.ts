/**
 * Cancel, pause, resume and limits from another process than the host's, while other writes saturate the disk: how long
 * from the order until the host has carried it out and said so.
 */
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import type { WriteProgress } from '@penstock/contract';
import { WriteQueue } from '@penstock/queue';
import { saturate } from '../bench/subjects/saturation.ts';
import { System, sha256File } from '../support/system.ts';
import { contentSha256 } from './content.ts';
import type { Findings } from './findings.ts';
import { Seeded } from './seeded.ts';
import { END_MS_MAX, type SoakSettings, hostOptions } from './settings.ts';
import { Watch } from './watch.ts';

const SATURATING_FILES = 2;
/** The steered write takes some seconds at this rate, whatever the disk. */
const RATE_DIVISOR = 4;
/** Of the orders of one write, pauses and limits come first, each as often. */
const ORDERS_BEFORE_END = 3;

export interface SteeringSettings extends SoakSettings {
  /** Of all orders. */
  p99MsMax: number;
}

type Verb = 'cancel' | 'pause' | 'resume' | 'limit';

export async function soakSteering(settings: SteeringSettings, findings: Findings): Promise<void> {
  const system = await System.open();
  const queue = new WriteQueue({ connection: { socketPath: system.redis.socketPath } });
  try {
    await system.host(hostOptions('host'));
    const saturation = saturate(system, { files: SATURATING_FILES, sizeBytes: settings.sizeBytes });
    const soak = new SteeringSoak(settings, findings, system, queue);
    await soak.run();
    const rate = await saturation.stop();
    findings.say(`beside them ${rate.toFixed(0)} MiB/s were written`);
  } finally {
    await queue.close();
    await system.close();
  }
}

class SteeringSoak {
  readonly #settings: SteeringSettings;
  readonly #findings: Findings;
  readonly #system: System;
  readonly #queue: WriteQueue;
  readonly #random: Seeded;
  readonly #tookMs: Record<Verb, number[]> = { cancel: [], pause: [], resume: [], limit: [] };

  constructor(settings: SteeringSettings, findings: Findings, system: System, queue: WriteQueue) {
    this.#settings = settings;
    this.#findings = findings;
    this.#system = system;
    this.#queue = queue;
    this.#random = new Seeded(settings.seed);
  }

  async run(): Promise<void> {
    const { trials } = this.#settings;
    for (let trial = 1; trial <= trials; trial += 1) await this.#steer(`steered ${trial}/${trials}`, trial);
    const all: number[] = [];
    for (const [verb, tookMs] of Object.entries(this.#tookMs)) {
      all.push(...tookMs);
      if (tookMs.length > 0) this.#findings.say(`${verb}: ${summary(tookMs)}`);
    }
    this.#findings.say(`all orders: ${summary(all)}`);
    const p99 = percentile(all, 0.99);
    const { p99MsMax } = this.#settings;
    this.#findings.demand(p99 < p99MsMax, `orders act within ${p99MsMax} ms (p99), not within ${p99.toFixed(0)} ms`);
  }

  /** One write: paused, resumed and limited at random moments, then cancelled, or let come to its end. */
  async #steer(what: string, trial: number): Promise<void> {
    const { seed, sizeBytes } = this.#settings;
    const path = `steered-${trial}`;
    const source = { kind: 'pattern', pattern: 'random', seed };
    const bytesPerSecond = Math.ceil(sizeBytes / RATE_DIVISOR);
    const watch = new Watch(this.#system, path);
    const job = await watch.add({ path, size: sizeBytes, source, limit: { bytesPerSecond } });
    const progress = (): WriteProgress | undefined => watch.progressOf.get('host');
    await watch.until(() => progress()?.phase === 'writing', END_MS_MAX);
    for (let order = 0; order < ORDERS_BEFORE_END; order += 1) {
      await delay(this.#random.next() * 200);
      if (this.#random.next() < 0.5) {
        const limit = bytesPerSecond + this.#random.between(1, 1000);
        await this.#order(
          what,
          'limit',
          watch,
          () => this.#queue.limit(path, limit),
          () => progress()?.limit === limit,
        );
      } else {
        const pause = (): Promise<unknown> => this.#queue.pause(path);
        await this.#order(what, 'pause', watch, pause, () => progress()?.phase === 'paused');
        await watch.until(() => progress()?.inFlight === 0, END_MS_MAX);
        const { bytesWritten = -1 } = progress() ?? {};
        await delay(this.#random.next() * 200);
        const still = progress()?.bytesWritten === bytesWritten;
        this.#findings.demand(still || progress()?.phase !== 'paused', `${what}: a paused write writes nothing`);
        const runs = (): boolean => progress()?.phase !== 'paused';
        await this.#order(what, 'resume', watch, () => this.#queue.resume(path), runs);
      }
    }
    if (trial % 3 === 0) {
      await this.#queue.limit(path, 0);
      const { failedReason } = await this.#system.finished(job, END_MS_MAX);
      const whole = failedReason === undefined && (await this.#holds(path));
      this.#findings.demand(whole, `${what}: it ends with exactly the right bytes: ${failedReason ?? 'completed'}`);
    } else {
      const cancel = (): Promise<unknown> => this.#queue.cancel(path, { by: 'soak' });
      await this.#order(what, 'cancel', watch, cancel, () => watch.endedAtMs !== null);
      const { failedReason } = await this.#system.finished(job, END_MS_MAX);
      this.#findings.demand(/cancelled by soak/.test(failedReason ?? ''), `${what}: it is cancelled: ${failedReason}`);
      const left = this.#system.names().filter((name) => name.includes(path));
      this.#findings.demand(left.length === 0, `${what}: nothing of it is left: ${left.join(', ')}`);
    }
    watch.close();
    this.#system.remove(path);
  }

  async #holds(path: string): Promise<boolean> {
    const { seed, sizeBytes } = this.#settings;
    return (await sha256File(this.#system.path(path))) === contentSha256(seed, sizeBytes);
  }

  /** Gives an order and waits until it is seen to be carried out. */
  async #order(
    what: string,
    verb: Verb,
    watch: Watch,
    give: () => Promise<unknown>,
    isDone: () => boolean,
  ): Promise<void> {
    const begunMs = performance.now();
    await give();
    const done = await watch.until(isDone, END_MS_MAX);
    this.#tookMs[verb].push(performance.now() - begunMs);
    this.#findings.demand(done, `${what}: ${verb} is carried out while the write runs`);
  }
}

function percentile(values: readonly number[], share: number): number {
  const order = values.toSorted((one, other) => one - other);
  return order[Math.max(0, Math.ceil(order.length * share) - 1)] ?? 0;
}

function summary(tookMs: readonly number[]): string {
  const at = (share: number): string => percentile(tookMs, share).toFixed(0);
  return `${tookMs.length} orders, p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, max ${at(1)} ms`;
}
