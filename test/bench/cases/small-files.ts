/** Files of 4 KiB: against a BullMQ worker that does nothing, as bulks, and beside a large write. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Queue, QueueEvents } from 'bullmq';
import type { System } from '../../support/system.ts';
import { besideBench } from '../beside.ts';
import type { BenchOptions, PairedCase } from '../case.ts';
import { type BenchHost, openHost } from '../subjects/host.ts';
import { MIB } from '../subjects/large-write.ts';
import type { Sample, Side } from '../pairs.ts';
import { accounted } from '../processes.ts';
import { saturate } from '../subjects/saturation.ts';
import { SMALL_BYTES, addWaiting, runWaiting, smallWrites } from '../subjects/small-jobs.ts';

const THREADS = 2;
const JOBS_PER_THREAD = 32;
const CONCURRENCY = THREADS * JOBS_PER_THREAD;
const PEER_QUEUE = 'noop';

const countOf = ({ smoke }: BenchOptions): number => (smoke ? 100 : 3000);

const openSmallHost = (system: System): Promise<BenchHost> =>
  openHost(system, ['--threads', String(THREADS), '--jobs', String(JOBS_PER_THREAD)]);

type SmallRun = Pick<Sample, 'rate' | 'figures'>;

interface SmallSide {
  queue: Queue;
  events: QueueEvents;
  pids: Record<string, number>;
  /** What the directories of this side's files begin with. */
  directory: string;
  /** 1 by default; more make bulks. */
  filesPerJob?: number;
  /** What goes on while the jobs run; they alone by default. */
  during?: (run: () => Promise<SmallRun>) => Promise<SmallRun>;
}

/** Jobs for `count` files, put into the queue before the clock starts; the rate is of files. */
function smallSide(
  count: number,
  { queue, events, pids, directory, filesPerJob = 1, during = (run) => run() }: SmallSide,
): Side {
  let round = 0;
  let ids: string[] = [];
  return {
    async prepare() {
      // A fresh directory each time, removed at the very end: ext4 searches long for an inode where many were just freed.
      round += 1;
      ids = await addWaiting(queue, smallWrites(`${directory}-${round}`, count, filesPerJob));
    },
    async run() {
      const { value, processes } = await accounted(pids, () => during(() => runWaiting(queue, events, ids)));
      return { ...value, rate: value.rate * filesPerJob, processes };
    },
  };
}

const small4k: PairedCase = {
  kind: 'paired',
  name: 'small-4k',
  what: `4 KiB files through the queue, one job each, ${THREADS} threads of ${JOBS_PER_THREAD}, fdatasync`,
  peer: `a BullMQ worker that does nothing, concurrency ${CONCURRENCY}`,
  unit: 'jobs/s',
  missing: () => null,
  async open(system, options) {
    const host = await openSmallHost(system);
    const peer = spawn(
      process.execPath,
      [besideBench('peers/noop-worker.mjs'), system.redis.socketPath, PEER_QUEUE, String(CONCURRENCY)],
      { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] },
    );
    await once(peer, 'message');
    const connection = { path: system.redis.socketPath };
    const queue = new Queue(PEER_QUEUE, { connection });
    const events = new QueueEvents(PEER_QUEUE, { connection });
    await events.waitUntilReady();
    const { host: hostPid, ...shared } = host.pids;
    return {
      subject: smallSide(countOf(options), {
        queue: system.queue,
        events: system.events,
        pids: { host: hostPid, ...shared },
        directory: 'small',
      }),
      peer: smallSide(countOf(options), { queue, events, pids: { worker: peer.pid!, ...shared }, directory: 'small' }),
      async close() {
        const gone = once(peer, 'exit');
        peer.disconnect();
        await gone;
        await events.close();
        await queue.close();
        await host.close();
      },
    };
  },
};

const bulk4k: PairedCase = {
  kind: 'paired',
  name: 'bulk-4k',
  what: '4 KiB files through the queue, as bulks',
  peer: 'the same files, one job each',
  unit: 'files/s',
  missing: () => null,
  async open(system, options) {
    const host = await openSmallHost(system);
    const { queue, events } = system;
    const count = countOf(options);
    const side = { queue, events, pids: host.pids };
    return {
      // Three bulks: one for each thread, and one more.
      subject: smallSide(count, { ...side, directory: 'bulk', filesPerJob: options.smoke ? 50 : 1000 }),
      peer: smallSide(count, { ...side, directory: 'single' }),
      close: host.close,
    };
  },
};

const beside: PairedCase = {
  kind: 'paired',
  name: 'small-beside-large',
  what: `4 KiB files as in small-4k while writes of 1 GiB, one after another, fill the device on the same host`,
  peer: 'the same small files alone',
  unit: 'jobs/s',
  missing: () => null,
  async open(system, options) {
    const host = await openSmallHost(system);
    const sizeBytes = (options.smoke ? 16 : 1024) * MIB;
    const { queue, events } = system;
    const alone = { queue, events, pids: host.pids };
    return {
      subject: smallSide(countOf(options), {
        ...alone,
        directory: 'beside',
        async during(run) {
          const saturation = saturate(system, { files: 1, sizeBytes });
          const { rate, figures } = await run();
          const large = await saturation.stop();
          const small = (rate * SMALL_BYTES) / MIB;
          return { rate, figures: { ...figures, 'large MiB/s': large, 'sum MiB/s': small + large } };
        },
      }),
      peer: smallSide(countOf(options), { ...alone, directory: 'alone' }),
      close: host.close,
    };
  },
};

export const smallFiles: PairedCase[] = [small4k, bulk4k, beside];
