/** `penstock show`: one job with all that is known of it. */
import { Command } from 'commander';
import { addStoreOptions, type StoreOptions } from '@penstock/config';
import { describeJob } from '../../listing/job-text.ts';
import { print, printJson } from '../../terminal/output.ts';
import { onQueue } from '../../job/on-queue.ts';

const EXAMPLES = `
Examples:
  $ penstock show 1q9jvken2byc5
  $ penstock show 1q9jvken2byc5 --json | jq .request

Exit codes: 0 shown, whatever became of it, 2 there is no such job.`;

export function showCommand(): Command {
  const command = new Command('show')
    .description(
      'Show one job: its file, where it is, how far, its result or why it failed and what to do, and its log.',
    )
    .argument('<id>', 'the id that enqueue printed')
    .option('--json', 'print one JSON object');
  addStoreOptions(command.optionsGroup('Which queue:'));
  return command
    .addHelpText('after', EXAMPLES)
    .action(async (id: string, options: StoreOptions & { json?: boolean }) => {
      const job = await onQueue(options, (queue) => queue.show(id));
      if (options.json === true) printJson(job);
      else for (const text of describeJob(job)) print(text);
    });
}
