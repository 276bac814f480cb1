/** How soon a write obeys another process while the disk is saturated, and how exactly it keeps to a limit. */
import { performance } from 'node:perf_hooks';
import type { WriteProgress, WriteResult } from '@penstock/contract';
import { WriteQueue } from '@penstock/queue';
import type { System } from '../../support/system.ts';
import type { MeasuredCase } from '../case.ts';
import { openHost } from '../subjects/host.ts';
import { MIB, stamped } from '../subjects/large-write.ts';
import { settleDisk } from '../peers/program.ts';
import { accounted } from '../processes.ts';
import { saturate } from '../subjects/saturation.ts';

const GIB = 1024 * MIB;
const ROUNDS = 40;
const VERBS = ['pause', 'resume', 'limit', 'cancel'] as const;
type Latencies = Record<(typeof VERBS)[number], number[]>;

/** The progress of one job as it comes, and its end. */
class Observed {
  readonly ended: Promise<void>;
  #look: (progress: WriteProgress) => void = () => {};

  constructor(queue: WriteQueue, id: string) {
    this.ended = this.#follow(queue, id);
  }

  async #follow(queue: WriteQueue, id: string): Promise<void> {
    for await (const event of queue.watch(id)) {
      if (event.type === 'progress') this.#look(event.progress);
      else if (event.type === 'failed' && event.error.code === 'ECANCELED') return;
    }
    throw new Error(`job ${id} ended otherwise than by being cancelled`);
  }

  /** Resolves with the first progress from now on that is wanted. One at a time. */
  until(accepts: (progress: WriteProgress) => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#look = (progress) => {
        if (accepts(progress)) resolve();
      };
    });
  }
}

/** From before the order is given until its effect has been told, in milliseconds. */
async function timed(order: Promise<unknown>, effect: Promise<void>): Promise<number> {
  const since = performance.now();
  await Promise.all([order, effect]);
  return performance.now() - since;
}

/** One write, steered in every way and cancelled at its end. */
async function steerOne(queue: WriteQueue, path: string, sizeBytes: number, into: Latencies): Promise<void> {
  const rate = 8 * MIB;
  const id = await queue.add({
    path,
    size: sizeBytes,
    source: { kind: 'pattern', pattern: 'stamp' },
    limit: { bytesPerSecond: rate },
  });
  const job = new Observed(queue, id);
  await job.until(({ phase, bytesWritten }) => phase === 'writing' && bytesWritten > 0);
  into.pause.push(
    await timed(
      queue.pause(id),
      job.until(({ phase, inFlight }) => phase === 'paused' && inFlight === 0),
    ),
  );
  into.resume.push(
    await timed(
      queue.resume(id),
      job.until(({ phase }) => phase === 'writing'),
    ),
  );
  into.limit.push(
    await timed(
      queue.limit(id, rate / 2),
      job.until(({ limit }) => limit === rate / 2),
    ),
  );
  into.cancel.push(await timed(queue.cancel(id, { by: 'bench' }), job.ended));
}

const percentile = (sorted: number[], percent: number): number =>
  sorted[Math.min(sorted.length - 1, Math.ceil((sorted.length * percent) / 100) - 1)]!;

const steering: MeasuredCase = {
  kind: 'measured',
  name: 'steering',
  what: `p99 of the slowest of cancel, pause, resume and limit, from the order in another process until its effect is told, beside two large writes; ${ROUNDS} of each`,
  missing: () => null,
  async measure(system, { smoke }) {
    const host = await openHost(system, ['--threads', '2']);
    const queue = new WriteQueue({ connection: { socketPath: system.redis.socketPath } });
    await settleDisk();
    const latencies: Latencies = { pause: [], resume: [], limit: [], cancel: [] };
    const { value: large, processes } = await accounted(host.pids, async () => {
      const saturation = saturate(system, { files: 2, sizeBytes: smoke ? 16 * MIB : GIB });
      for (let round = 0; round < (smoke ? 1 : ROUNDS); round += 1) {
        // Each is timed beside the same load.
        await steerOne(queue, `steered-${round}.dat`, smoke ? 64 * MIB : GIB, latencies);
      }
      return saturation.stop();
    });
    await queue.close();
    await host.close();
    const figures: Record<string, number> = { 'large MiB/s': large };
    let slowest = 0;
    for (const verb of VERBS) {
      const sorted = latencies[verb].toSorted((one, other) => one - other);
      figures[`${verb} p50 ms`] = percentile(sorted, 50);
      figures[`${verb} p99 ms`] = percentile(sorted, 99);
      slowest = Math.max(slowest, percentile(sorted, 99));
    }
    return { value: slowest, processes, figures };
  },
};

/** MiB a second of one write while its rows are written. */
async function rateOf(system: System, path: string, sizeBytes: number, limitMiB: number): Promise<number> {
  const limit = limitMiB === 0 ? {} : { limit: { bytesPerSecond: limitMiB * MIB } };
  const request = { path, size: sizeBytes, matrix: { rows: 32, rowBytes: MIB }, source: stamped, ...limit };
  const { returnvalue, failedReason } = await system.finished(await system.add(request));
  if (returnvalue?.bytes !== sizeBytes) throw new Error(`the write failed: ${failedReason}`);
  return sizeBytes / MIB / ((returnvalue as WriteResult).durationsMs.writing / 1000);
}

const limitExact: MeasuredCase = {
  kind: 'measured',
  name: 'limit-exact',
  what: 'the largest deviation from a limit of 1, 50 and 500 MiB/s over five seconds of one write; 500 where the disk does 600',
  missing: () => null,
  async measure(system, { smoke }) {
    const host = await openHost(system, ['--threads', '1']);
    const seconds = smoke ? 0.2 : 5;
    const { value, processes } = await accounted(host.pids, async () => {
      const free = await rateOf(system, 'free.dat', smoke ? 16 * MIB : GIB, 0);
      const figures: Record<string, number> = { 'unlimited MiB/s': free };
      let deviation = 0;
      for (const limit of [1, 50, 500]) {
        if (limit * 1.2 > free) continue;
        // One after the other, or they would share the disk.
        const rate = await rateOf(system, `${limit}.dat`, Math.ceil(limit * seconds) * MIB, limit);
        figures[`at ${limit} MiB/s`] = rate;
        deviation = Math.max(deviation, Math.abs(rate / limit - 1) * 100);
      }
      return { figures, deviation };
    });
    await host.close();
    return { value: value.deviation, processes, figures: value.figures };
  },
};

export const steerings: MeasuredCase[] = [steering, limitExact];
