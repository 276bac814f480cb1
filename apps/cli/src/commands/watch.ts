/** `penstock watch`: follows a job to its end. */
import { Command } from 'commander';
import { addStoreOptions } from '@penstock/config';
import { type WriteRequest, fromWire } from '@penstock/contract';
import { Interrupted, UsageError } from '../failures.ts';
import { follow } from '../follow.ts';
import { takeInterrupts } from '../interrupts.ts';
import { answering, type JobAnswer } from '../job-report.ts';
import { print, readerGone, say } from '../output.ts';
import { createProgressLine, silentProgress } from '../progress-line.ts';
import { describeResult } from '../result-text.ts';
import { openStoreOf, type StoreOptions } from '../store-options.ts';

interface WatchOptions extends StoreOptions {
  json: boolean;
}

const EXAMPLES = `
Examples:
  $ penstock watch 17
  $ penstock watch 17 --json --redis redis://queue.example:6379

Exit codes: 0 written, 1 failed, 2 there is no such job, 130 stopped by Ctrl-C (the job goes on).`;

export function watchCommand(): Command {
  const command = new Command('watch')
    .description('Follow a job to its end. A finished one is told at once.')
    .argument('<id>', 'the id that enqueue printed')
    .option('--json', 'print one JSON object, the result or the error', false);
  addStoreOptions(command.optionsGroup('Which queue:'));
  return command.addHelpText('after', EXAMPLES).action(async (id: string, options: WatchOptions) => {
    await answering(options.json, (answer) => watch(id, options, answer));
  });
}

async function watch(id: string, options: WatchOptions, answer: JobAnswer): Promise<object> {
  answer.id = id;
  const interrupts = takeInterrupts();
  const { WriteQueue } = await import('@penstock/queue');
  const line =
    options.json && !process.stderr.isTTY ? silentProgress(say) : await createProgressLine(process.stderr);
  const { store } = await openStoreOf(options, (error) => line.note(`penstock: ${error.message}`));
  const queue = new WriteQueue({ connection: store.connection });
  try {
    const job = await queue.job(id);
    if (job === undefined || job === null) {
      throw new UsageError(`there is no job ${id} in the queue: it never was, or it ended long ago and was forgotten`);
    }
    const { path } = job.data as WriteRequest;
    const title = typeof path === 'string' ? path : `job ${id}`;
    if ((await queue.workers()) === 0 && !(await job.isCompleted()) && !(await job.isFailed())) {
      say('no host serves this queue now: the write waits until one is started (penstock host)');
    }
    const outcome = await follow(queue, id, title, line, AbortSignal.any([interrupts.signal, readerGone]));
    if (!outcome.ok) throw fromWire(outcome.error);
    if (!options.json) for (const text of describeResult(outcome.result, title)) print(text);
    return { result: outcome.result };
  } catch (error) {
    if (error instanceof Interrupted) say(`job ${id} goes on without this command`);
    throw error;
  } finally {
    await queue.close();
    await store.close();
    interrupts.release();
  }
}
