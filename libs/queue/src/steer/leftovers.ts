/**
 * What a cancelled job may have left on the host that had it last: a job that is cancelled while no host runs it has
 * failed at once, and its partial file is on a disk that only that host reaches. It gets a job of its own, in that
 * host's own queue: cancelled before it begins, it is begun all the same, removes what is there, and is gone.
 */
import { HOST_NAME } from '@penstock/contract';
import { type ConnectionOptions, type Job, Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import { idForHost, JOB_NAME, queueOfHost } from '../names.ts';
import type { Order } from './order.ts';

/** No host may take the job before its order is recorded: if this process dies before that, none ever does. */
const HELD_MS = 315_360_000_000;

/**
 * Has the host that last had `job` remove what its attempts, `starts` in number, left there; as soon as that host runs.
 */
export async function sweepAfter(
  job: Job,
  order: Order,
  starts: number,
  to: { redis: Redis; prefix: string | undefined },
): Promise<void> {
  const { processedBy: host, id = '', timestamp, data } = job;
  if (host === undefined || !HOST_NAME.test(host)) return; // no host has had it yet
  const connection = to.redis as unknown as ConnectionOptions;
  const queue = new Queue(queueOfHost(host), {
    connection,
    ...(to.prefix === undefined ? {} : { prefix: to.prefix }),
    skipMetasUpdate: true,
  });
  try {
    // The job may have any id: plain numbers, and ids with colons as those of schedules, are none for a job of ours.
    const jobId = idForHost(`sweep-${id.replaceAll(':', '_')}`, host);
    const options = { jobId, timestamp, delay: HELD_MS, removeOnComplete: true, removeOnFail: true, attempts: 1 };
    const sweep = await queue.add(JOB_NAME, data, options);
    const sweepOrder = { rev: 1, cancel: order.cancel, of: id, starts };
    await to.redis.hset(queue.toKey(jobId), { ats: 1, steer: JSON.stringify(sweepOrder) });
    await sweep.promote();
  } finally {
    await queue.close();
  }
}
