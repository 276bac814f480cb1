/** Follows one job to its end, and shows how it goes. */
import type { JobResult, WireError } from '@penstock/contract';
import type { WriteQueue } from '@penstock/queue';
import { formatSeconds } from '../terminal/figures.ts';
import type { ProgressLine } from '../terminal/progress-line.ts';

/** How a job ended. */
export type Outcome<Result extends JobResult> =
  | { ok: true; result: Result }
  | { ok: false; error: WireError; attemptsMade: number };

/**
 * Follows the job `id` until it is completed or has failed for good; `title` names it on the line. The caller
 * knows what the job asked for, and so its `Result`. `onWaiting` is called each time it begins to wait for a host, also if one has
 * put it back.
 * @throws the reason of `signal` when that is aborted first; UnknownJobError if there is no such job
 */
export async function follow<Result extends JobResult>(
  queue: Pick<WriteQueue, 'watch'>,
  id: string,
  title: string,
  line: ProgressLine,
  signal: AbortSignal,
  onWaiting: () => void = () => {},
): Promise<Outcome<Result>> {
  try {
    for await (const event of queue.watch(id, { signal })) {
      switch (event.type) {
        case 'waiting':
          line.state(title, event.note ?? 'waiting in the queue');
          onWaiting();
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
          return { ok: true, result: event.result as Result };
        case 'failed':
          return { ok: false, error: event.error, attemptsMade: event.attemptsMade };
        // no default
      }
    }
  } catch (error) {
    signal.throwIfAborted(); // the signal's reason says more than the iteration's error
    throw error;
  } finally {
    line.clear();
  }
  signal.throwIfAborted();
  throw new Error(`the queue said nothing more of job ${id}`);
}
