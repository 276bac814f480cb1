/** Follows one job to its end, and shows how it goes. */
import type { WireError, WriteResult } from '@penstock/contract';
import type { WriteQueue } from '@penstock/queue';
import { formatSeconds } from './figures.ts';
import type { ProgressLine } from './progress-line.ts';

/** How a job ended. */
export type Outcome = { ok: true; result: WriteResult } | { ok: false; error: WireError; attemptsMade: number };

/**
 * Follows the job `id` until it is completed or has failed for good; `title` names it on the line.
 * @throws the reason of `signal` when that is aborted first; what the queue says where there is no such job
 */
export async function follow(
  queue: Pick<WriteQueue, 'watch'>,
  id: string,
  title: string,
  line: ProgressLine,
  signal: AbortSignal,
): Promise<Outcome> {
  try {
    for await (const event of queue.watch(id, { signal })) {
      switch (event.type) {
        case 'waiting':
          line.state(title, 'waiting in the queue');
          break;
        case 'active':
          break; // its first progress follows at once
        case 'progress':
          line.update(title, event.progress);
          break;
        case 'retrying':
          line.note(
            `attempt ${event.attempt} failed: ${event.error.message.replace(/\.$/, '')}. The next begins in ${formatSeconds(event.delayMs)}.`,
          );
          break;
        case 'completed':
          return { ok: true, result: event.result };
        case 'failed':
          return { ok: false, error: event.error, attemptsMade: event.attemptsMade };
        // no default
      }
    }
  } catch (error) {
    signal.throwIfAborted(); // the iteration's own way of saying so tells less
    throw error;
  } finally {
    line.clear();
  }
  signal.throwIfAborted();
  throw new Error(`the queue said nothing more of job ${id}`);
}
