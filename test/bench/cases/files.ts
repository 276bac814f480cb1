/** Files by jobs, one each, against what one would write instead: a BullMQ worker on node:fs that is as durable. */
import { mkdirSync, readFileSync, readdirSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import type { PairedCase } from '../case.ts';
import type { Side } from '../pairs.ts';
import { openPeerWorker } from '../peers/worker.ts';
import { MIB } from '../subjects/large-write.ts';
import {
  CONCURRENCY,
  JOBS_PER_THREAD,
  type SmallSide,
  THREADS,
  openSmallHost,
  smallSide,
} from '../subjects/small-side.ts';

/** Of libuv, whose threads do the worker's file system calls: its default, and what its users set for such work. */
const POOL_SIZES = [4, 16];

interface Files {
  name: 'files-4k' | 'files-64k' | 'files-1m';
  sizeBytes: number;
  count: number;
}

/** @throws if the last file of a round does not hold the bytes that were asked for */
function checkLast(directory: string, count: number, sizeBytes: number): void {
  const seed = count - 1;
  const found = readFileSync(join(directory, `${seed}.dat`));
  if (!found.equals(Buffer.alloc(sizeBytes, seed))) throw new Error(`${directory}/${seed}.dat holds other bytes`);
}

function emptyAll(directory: string): void {
  for (const name of readdirSync(directory)) truncateSync(join(directory, name));
}

function againstWorker({ name, sizeBytes, count: fullCount }: Files): PairedCase {
  return {
    kind: 'paired',
    name,
    what: `files of ${sizeBytes < MIB ? `${sizeBytes / 1024} K` : `${sizeBytes / MIB} M`}iB through the queue, one job each, ${THREADS} threads of ${JOBS_PER_THREAD}, fdatasync`,
    peer: `a BullMQ worker on node:fs, as durable, concurrency ${CONCURRENCY}`,
    unit: 'jobs/s',
    missing: () => null,
    async open(system, { smoke }) {
      const count = smoke ? 50 : fullCount;
      const host = await openSmallHost(system);
      const { host: hostPid, ...shared } = host.pids;
      const closers = [host.close];
      const sideOf = (side: Pick<SmallSide, 'queue' | 'events' | 'directory' | 'pids'>): Side => {
        let earlier: string | null = null;
        return smallSide(count, {
          ...side,
          sizeBytes,
          // Each side has as little to do for its bytes: the worker fills a buffer.
          pattern: 'byte',
          beforeRound(directory) {
            // Large ones would fill the disk; their names stay, see smallSide.
            if (earlier !== null && sizeBytes >= MIB) emptyAll(earlier);
            earlier = system.path(directory);
            // The worker makes none itself: to its advantage.
            mkdirSync(earlier);
          },
          afterRound: (directory) => checkLast(system.path(directory), count, sizeBytes),
        });
      };
      const peer: Record<string, Side> = {};
      for (const poolSize of POOL_SIZES) {
        const worker = await openPeerWorker(system, {
          script: 'fs-worker.mjs',
          queueName: `fs-${poolSize}`,
          concurrency: CONCURRENCY,
          args: [system.data],
          env: { UV_THREADPOOL_SIZE: String(poolSize) },
        });
        closers.push(worker.close);
        const { queue, events, pid } = worker;
        const pids = { worker: pid, ...shared };
        peer[`UV_THREADPOOL_SIZE ${poolSize}`] = sideOf({ queue, events, pids, directory: `fs-${poolSize}` });
      }
      const { queue, events } = system;
      return {
        subject: sideOf({ queue, events, pids: { host: hostPid, ...shared }, directory: 'host' }),
        peer,
        async close() {
          for (const close of closers.toReversed()) await close();
        },
      };
    },
  };
}

export const files: PairedCase[] = [
  againstWorker({ name: 'files-4k', sizeBytes: 4096, count: 3000 }),
  againstWorker({ name: 'files-64k', sizeBytes: 65_536, count: 3000 }),
  againstWorker({ name: 'files-1m', sizeBytes: MIB, count: 500 }),
];
