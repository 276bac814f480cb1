/** `penstock logs`: what hosts logged of one job. */
import { Command } from 'commander';
import { addStoreOptions, type StoreOptions } from '@penstock/config';
import { print, printJson, say } from '../../terminal/output.ts';
import { onQueue } from '../../job/on-queue.ts';

const EXAMPLES = `
Examples:
  $ penstock logs 1q9jvken2byc5

Each line has its time, attempt and host. A write that ended well at the first attempt has logged nothing.
Exit codes: 0 shown, 2 there is no such job.`;

export function logsCommand(): Command {
  const command = new Command('logs')
    .description('Print what hosts logged of a job: attempts that failed, and what it waited for.')
    .argument('<id>', 'the id that enqueue printed')
    .option('--json', 'print one JSON string a line');
  addStoreOptions(command.optionsGroup('Which queue:'));
  return command
    .addHelpText('after', EXAMPLES)
    .action(async (id: string, options: StoreOptions & { json?: boolean }) => {
      const { logs } = await onQueue(options, (queue) => queue.show(id));
      for (const text of logs) {
        if (options.json === true) printJson(text);
        else print(text);
      }
      if (logs.length === 0) say(`nothing was logged of job ${id}`);
    });
}
