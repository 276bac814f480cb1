/** Files of 4 KiB: against a BullMQ worker that does nothing, as bulks, and beside a large write. */
import type { PairedCase } from '../case.ts';
import { openPeerWorker } from '../peers/worker.ts';
import { MIB } from '../subjects/large-write.ts';
import { replaceLarge } from '../subjects/replacing.ts';
import { saturate } from '../subjects/saturation.ts';
import { SMALL_BYTES } from '../subjects/small-jobs.ts';
import { CONCURRENCY, JOBS_PER_THREAD, THREADS, countOf, openSmallHost, smallSide } from '../subjects/small-side.ts';

const small4k: PairedCase = {
  kind: 'paired',
  name: 'small-4k',
  what: `4 KiB files through the queue, one job each, ${THREADS} threads of ${JOBS_PER_THREAD}, fdatasync`,
  peer: `a BullMQ worker that does nothing, concurrency ${CONCURRENCY}`,
  unit: 'jobs/s',
  missing: () => null,
  async open(system, options) {
    const host = await openSmallHost(system);
    const peer = await openPeerWorker(system, {
      script: 'noop-worker.mjs',
      queueName: 'noop',
      concurrency: CONCURRENCY,
    });
    const { queue, events } = peer;
    const { host: hostPid, ...shared } = host.pids;
    return {
      subject: smallSide(countOf(options), {
        queue: system.queue,
        events: system.events,
        pids: { host: hostPid, ...shared },
        directory: 'small',
      }),
      peer: smallSide(countOf(options), { queue, events, pids: { worker: peer.pid, ...shared }, directory: 'small' }),
      async close() {
        await peer.close();
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
      // Three bulks, each carried out by both threads.
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

const besideReplace: PairedCase = {
  kind: 'paired',
  name: 'small-beside-replace',
  what: `4 KiB files as in small-4k while four files of 512 MiB are replaced by empty ones, one after another, on the same host`,
  peer: 'the same small files alone',
  unit: 'jobs/s',
  missing: () => null,
  async open(system, options) {
    const host = await openSmallHost(system);
    const replacing = replaceLarge(system, 4, (options.smoke ? 16 : 512) * MIB);
    const { queue, events } = system;
    const alone = { queue, events, pids: host.pids };
    const small = smallSide(countOf(options), {
      ...alone,
      directory: 'beside',
      async during(run) {
        const [result] = await Promise.all([run(), replacing.run()]);
        return result;
      },
    });
    return {
      subject: {
        async prepare() {
          await replacing.prepare();
          await small.prepare();
        },
        run: small.run,
      },
      peer: smallSide(countOf(options), { ...alone, directory: 'alone' }),
      close: host.close,
    };
  },
};

export const smallFiles: PairedCase[] = [small4k, bulk4k, beside, besideReplace];
