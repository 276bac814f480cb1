/** `penstock watch`: follows a job to its end. */
import { Command } from 'commander';
import { addStoreOptions, type StoreOptions } from '@penstock/config';
import { type JobResult, fromWire, isBulkResult } from '@penstock/contract';
import { Interrupted } from '../terminal/failures.ts';
import { follow } from '../job/follow.ts';
import { takeInterrupts } from '../terminal/interrupts.ts';
import { answering, type JobAnswer } from '../job/job-report.ts';
import { print, readerGone, say, noteScreen } from '../terminal/output.ts';
import { createProgressLine, silentProgress } from '../terminal/progress-line.ts';
import { describeBulk, describeResult } from '../job/result-text.ts';
import { sayStandstill } from '../job/standstill.ts';
import { openStoreOf } from '../job/store-options.ts';

interface WatchOptions extends StoreOptions {
  json?: boolean;
}

const EXAMPLES = `
Examples:
  $ penstock watch 1q9jvken2byc5
  $ penstock watch 1q9jvken2byc5 --json --redis redis://queue.example:6379

Exit codes: 0 written, 1 failed (of a bulk, any file), 2 there is no such job, 130 stopped by Ctrl-C (the job goes on).`;

export function watchCommand(): Command {
  const command = new Command('watch')
    .description('Follow a job to its end. A finished one is told at once.')
    .argument('<id>', 'the id that enqueue printed')
    .option('--json', 'print one JSON object, the result or the error');
  addStoreOptions(command.optionsGroup('Which queue:'));
  return command.addHelpText('after', EXAMPLES).action(async (id: string, options: WatchOptions) => {
    await answering(options.json === true, (answer) => watch(id, options, answer));
  });
}

async function watch(
  id: string,
  options: WatchOptions,
  answer: JobAnswer,
): Promise<{ ok: boolean; result: JobResult }> {
  answer.id = id;
  const interrupts = takeInterrupts();
  const { WriteQueue } = await import('@penstock/queue');
  const line = options.json === true && !noteScreen().isTTY ? silentProgress(say) : await createProgressLine();
  const { store } = await openStoreOf(options, (error) => line.note(`penstock: ${error.message}`));
  const queue = new WriteQueue({
    connection: store.connection,
    onError: (error) => line.note(`penstock: ${error.message}`),
  });
  try {
    const job = await queue.job(id); // null: watching it says so, in the queue's own words
    const title = titleOf(job?.data) ?? `job ${id}`;
    if (job !== null && job.finishedOn === undefined && (await queue.workers()) === 0) {
      say('no host serves this queue now: the write waits until one is started (penstock host)');
    }
    // Another program may have added it: then its data need not be an object.
    if (job !== null && job.finishedOn === undefined) await sayStandstill(queue, job.data?.target?.host);
    const outcome = await follow<JobResult>(queue, id, title, line, AbortSignal.any([interrupts.signal, readerGone]));
    if (!outcome.ok) throw fromWire(outcome.error);
    const { result } = outcome;
    const bulk = isBulkResult(result);
    if (options.json !== true)
      for (const text of bulk ? describeBulk(result) : describeResult(result, title)) print(text);
    return { ok: !bulk || result.failed === 0, result };
  } catch (error) {
    if (error instanceof Interrupted) say(`job ${id} goes on without this command`);
    throw error;
  } finally {
    await queue.close();
    await store.close();
    interrupts.release();
  }
}

/** What a job that anybody may have added is called: the path of its file, or how many they are. */
function titleOf(request: unknown): string | undefined {
  if (typeof request !== 'object' || request === null) return undefined;
  const { path, files } = request as Record<string, unknown>;
  if (Array.isArray(files)) return `${files.length} files`;
  return typeof path === 'string' ? path : undefined;
}
