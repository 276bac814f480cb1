/** `penstock clean`: removes jobs that ended long ago. */
import { Command, Option } from 'commander';
import { addStoreOptions, duration, type StoreOptions } from '@penstock/config';
import { print, printJson } from '../../terminal/output.ts';
import { onQueue } from '../../job/on-queue.ts';

interface CleanCommandOptions extends StoreOptions {
  olderThan: number;
  state?: 'completed' | 'failed';
  json?: boolean;
}

const EXAMPLES = `
Examples:
  $ penstock clean --older-than 7d
  $ penstock clean --older-than 0 --state completed

The files that they wrote stay where they are.`;

export function cleanCommand(): Command {
  const command = new Command('clean')
    .description('Remove jobs that ended long ago from all queues.')
    .addOption(
      new Option('--older-than <duration>', 'those that ended longer ago than this, like 7d')
        .argParser(duration)
        .makeOptionMandatory(),
    )
    .addOption(new Option('--state <state>', 'only those that ended like this').choices(['completed', 'failed']))
    .option('--json', 'print one JSON object');
  addStoreOptions(command.optionsGroup('Which queue:'));
  return command
    .addHelpText('after', EXAMPLES)
    .action(async ({ olderThan, state, json, ...store }: CleanCommandOptions) => {
      const states = state === undefined ? {} : { states: [state] };
      const removed = await onQueue(store, (queue) => queue.clean({ olderThanMs: olderThan, ...states }));
      if (json === true) printJson({ removed });
      else print(`${removed} ${removed === 1 ? 'job' : 'jobs'} removed`);
    });
}
