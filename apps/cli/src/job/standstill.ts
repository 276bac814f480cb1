/** A queue that stands still looks like one whose hosts are slow: commands that wait for a job report it. */
import type { WriteQueue } from '@penstock/queue';
import { say } from '../terminal/output.ts';

/**
 * Reports why no host takes jobs from the queue of `host`, if it stands still; from that of any host, unless a name is
 * given.
 */
export async function sayStandstill(queue: Pick<WriteQueue, 'standstill'>, host: unknown): Promise<void> {
  const why = await queue.standstill(typeof host === 'string' ? host : undefined);
  if (why !== null) say(why);
}
