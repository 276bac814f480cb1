/** A queue that stands still looks like one whose hosts are slow: whoever waits for a job is told. */
import type { WriteQueue } from '@penstock/queue';
import { say } from './output.ts';

/** Says why no host takes a job of the queue of `host`, or of any, where that is so. */
export async function sayStandstill(queue: Pick<WriteQueue, 'standstill'>, host: string | undefined): Promise<void> {
  const why = await queue.standstill(typeof host === 'string' ? host : undefined);
  if (why !== null) say(why);
}
