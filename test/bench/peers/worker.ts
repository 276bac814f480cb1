/** The peers that are BullMQ workers: each a process of its own, with a queue of its own in the bench's Redis. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Queue, QueueEvents } from 'bullmq';
import type { System } from '../../support/system.ts';
import { besideBench } from '../beside.ts';

export interface PeerWorker {
  pid: number;
  queue: Queue;
  events: QueueEvents;
  close: () => Promise<void>;
}

export interface PeerWorkerOptions {
  /** Beside this file; it is given the socket, the queue's name, the concurrency, and the arguments. */
  script: string;
  queueName: string;
  concurrency: number;
  args?: string[];
  env?: Record<string, string>;
}

/** A worker that is ready for jobs. */
export async function openPeerWorker(
  system: System,
  { script, queueName, concurrency, args = [], env = {} }: PeerWorkerOptions,
): Promise<PeerWorker> {
  const { socketPath } = system.redis;
  const child = spawn(
    process.execPath,
    [besideBench(`peers/${script}`), socketPath, queueName, String(concurrency), ...args],
    { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], env: { ...process.env, ...env } },
  );
  const gone = once(child, 'exit');
  const [first] = (await Promise.race([once(child, 'message'), gone])) as [unknown];
  if ((first as { ready?: boolean } | null)?.ready !== true) throw new Error(`${script} did not start`);
  const connection = { path: socketPath };
  const queue = new Queue(queueName, { connection });
  const events = new QueueEvents(queueName, { connection });
  await events.waitUntilReady();
  return {
    pid: child.pid!,
    queue,
    events,
    async close() {
      if (child.connected) child.disconnect();
      await gone;
      await events.close();
      await queue.close();
    },
  };
}
