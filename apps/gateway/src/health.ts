/** Whether the gateway can do its work: whether Redis answers, and how the queue stands. */
import { inTime } from '@penstock/contract';
import type { Queue } from 'bullmq';

/** Short, so that the check answers before its caller gives up. */
const HEALTH_MS_MAX = 2000;

export interface Health {
  status: 'ok' | 'unavailable';
  queue: string;
  /** Hosts' workers that serve the queue. */
  workers?: number;
  counts?: Record<string, number>;
  error?: string;
}

/** Asks Redis, for two seconds at most. Never rejects. */
export async function healthOf(
  queue: Pick<Queue, 'name' | 'getWorkersCount' | 'getJobCounts'>,
  timeoutMs: number = HEALTH_MS_MAX,
): Promise<Health> {
  try {
    const asked = Promise.all([queue.getWorkersCount(), queue.getJobCounts()]);
    const [workers, counts] = await inTime(timeoutMs, asked, () => {
      throw new Error(`Redis did not answer within ${timeoutMs} ms`);
    });
    return { status: 'ok', queue: queue.name, workers, counts };
  } catch (error) {
    return { status: 'unavailable', queue: queue.name, error: (error as Error).message };
  }
}
