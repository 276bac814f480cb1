/** `penstock retry`: puts failed jobs in line again. */
import { Command } from 'commander';
import { addStoreOptions, parseHostName, type StoreOptions } from '@penstock/config';
import type { JobFilter, WriteQueue } from '@penstock/queue';
import { parseSince } from '../../listing/since.ts';
import { UsageError } from '../../terminal/failures.ts';
import { say } from '../../terminal/output.ts';
import { eachJob } from './each-job.ts';
import { onQueue } from '../../job/on-queue.ts';

interface RetryOptions extends StoreOptions {
  allFailed?: boolean;
  host?: string;
  root?: string;
  since?: number;
  json?: boolean;
}

const EXAMPLES = `
Examples:
  $ penstock retry 1q9jvken2byc5
  $ penstock retry --all-failed --root captures --since 2h

A job gets all its attempts again. One that was cancelled is tried again by its id alone: that takes the cancellation back.
Exit codes: 0 in line again, 1 one has not failed, 2 there is no such job; those of several that can be are.`;

export function retryCommand(): Command {
  const command = new Command('retry')
    .description('Put a failed job in line again, or all of them.')
    .argument('[id]', 'the id that enqueue printed')
    .option('--all-failed', 'all that failed, but for those that somebody cancelled', false)
    .option('--host <name>', 'with --all-failed: that this host had last, or alone may take', parseHostName)
    .option('--root <name>', 'with --all-failed: that write to this root')
    .option('--since <age>', 'with --all-failed: that failed since, like 2h or 2026-11-28T03:00', parseSince)
    .option('--json', 'print one JSON object for each job');
  addStoreOptions(command.optionsGroup('Which queue:'));
  return command.addHelpText('after', EXAMPLES).action(retry);
}

async function retry(id: string | undefined, options: RetryOptions): Promise<void> {
  if ((id === undefined) !== (options.allFailed === true)) throw new UsageError('Give a job, or --all-failed.');
  await onQueue(options, async (queue) => {
    const ids = id === undefined ? await failedIds(queue, options) : [id];
    await eachJob(ids, {
      act: (each) => queue.retry(each),
      describe: (each) => `job ${each} is in line again`,
      json: options.json === true,
    });
    if (ids.length === 0) say('no such job has failed');
  });
}

/** Of all, before the first is put in line: one that fails again at once must not be met twice. */
async function failedIds(queue: WriteQueue, { host, root, since }: RetryOptions): Promise<string[]> {
  const filter: JobFilter = {
    states: ['failed'],
    ...(host === undefined ? {} : { host }),
    ...(root === undefined ? {} : { root }),
    ...(since === undefined ? {} : { sinceMs: since }),
  };
  const ids: string[] = [];
  for await (const { id, error } of queue.list(filter)) if (error?.code !== 'ECANCELED') ids.push(id);
  return ids;
}
