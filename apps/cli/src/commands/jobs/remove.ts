/** `penstock rm`: removes a job from the queue. */
import { Command } from 'commander';
import { addStoreOptions, type StoreOptions } from '@penstock/config';
import { eachJob } from './each-job.ts';
import { onQueue } from '../../job/on-queue.ts';

const EXAMPLES = `
Examples:
  $ penstock rm 1q9jvken2byc5

The file that it wrote stays where it is. A job that a host has is cancelled first: penstock cancel.
Exit codes: 0 removed, 1 a host has one, 2 there is no such job; those of several that can be are removed.`;

export function removeCommand(): Command {
  const command = new Command('rm')
    .description('Remove jobs that no host has, with all that the queue keeps of them.')
    .argument('<id...>', 'the ids that enqueue printed')
    .option('--json', 'print one JSON object for each job');
  addStoreOptions(command.optionsGroup('Which queue:'));
  return command
    .addHelpText('after', EXAMPLES)
    .action(async (ids: string[], options: StoreOptions & { json?: boolean }) =>
      onQueue(options, (queue) =>
        eachJob(ids, {
          act: (id) => queue.remove(id),
          describe: (id) => `job ${id} is removed`,
          json: options.json === true,
        }),
      ),
    );
}
