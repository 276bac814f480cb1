/** Files of 4 KiB, one job each, against a BullMQ worker that does nothing with the same concurrency. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { performance } from 'node:perf_hooks';
import { Queue, QueueEvents } from 'bullmq';
import { besideBench } from '../beside.ts';
import type { BenchCase } from '../case.ts';
import { cpuSecondsOf } from '../cpu.ts';
import type { Sample } from '../pairs.ts';

const THREADS = 2;
const JOBS_PER_THREAD = 8;
const PEER_QUEUE = 'noop';
/** Adds `count` jobs to the paused queue, lets them run, and waits for the last; jobs a second from the start. */
async function timeJobs(queue: Queue, events: QueueEvents, jobs: { name: string; data: unknown }[]): Promise<number> {
  await queue.pause();
  await queue.addBulk(jobs);
  let left = jobs.length;
  let failure: string | undefined;
  const allDone = new Promise<void>((resolve) => {
    const count = (): void => {
      left -= 1;
      if (left === 0) resolve();
    };
    events.on('completed', count);
    events.on('failed', ({ failedReason }) => {
      failure = failedReason;
      count();
    });
  });
  const started = performance.now();
  await queue.resume();
  await allDone;
  const seconds = (performance.now() - started) / 1000;
  events.removeAllListeners('completed');
  events.removeAllListeners('failed');
  if (failure !== undefined) throw new Error(`a job failed: ${failure}`);
  return jobs.length / seconds;
}

export const smallFiles: BenchCase = {
  name: 'small-4k',
  what: `4 KiB files through the queue, one job each, ${THREADS} threads of ${JOBS_PER_THREAD}, fdatasync`,
  peer: `a BullMQ worker that does nothing, concurrency ${THREADS * JOBS_PER_THREAD}`,
  unit: 'jobs/s',
  floor: 0.6,
  missing: () => null,
  async open(system, { smoke }) {
    const count = smoke ? 50 : 3000;
    const host = await system.host(['--threads', String(THREADS), '--jobs', String(JOBS_PER_THREAD)]);
    const redisPid = await system.redisPid();
    let round = 0;
    const concurrency = String(THREADS * JOBS_PER_THREAD);
    const peer = spawn(
      process.execPath,
      [besideBench('noop-worker.mjs'), system.redis.socketPath, PEER_QUEUE, concurrency],
      {
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      },
    );
    await once(peer, 'message');
    const connection = { path: system.redis.socketPath };
    const peerQueue = new Queue(PEER_QUEUE, { connection });
    const peerEvents = new QueueEvents(PEER_QUEUE, { connection });
    await peerEvents.waitUntilReady();
    const measure = async (pid: number, run: () => Promise<number>): Promise<Sample> => {
      const cpu = (): number => cpuSecondsOf(pid) + cpuSecondsOf(redisPid);
      const before = cpu();
      const rate = await run();
      return { rate, cpuSeconds: cpu() - before };
    };
    return {
      async subject() {
        // A fresh directory each time, removed at the very end: ext4 searches long for an inode where many were just freed.
        round += 1;
        const jobs = Array.from({ length: count }, (_, seed) => ({
          name: 'write',
          data: { path: `small-${round}/${seed}.dat`, size: 4096, source: { kind: 'pattern', pattern: 'stamp', seed } },
        }));
        return measure(host.child.pid!, () => timeJobs(system.queue, system.events, jobs));
      },
      peer: () => {
        const jobs = Array.from({ length: count }, (_, seed) => ({ name: 'noop', data: { seed } }));
        return measure(peer.pid!, () => timeJobs(peerQueue, peerEvents, jobs));
      },
      async close() {
        const gone = once(peer, 'exit');
        peer.disconnect();
        await gone;
        await peerEvents.close();
        await peerQueue.close();
        await host.end();
      },
    };
  },
};
