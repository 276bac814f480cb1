/** `penstock ls`: the jobs of all queues. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { addStoreOptions, parseHostName, type StoreOptions, wholeNumber } from '@penstock/config';
import { type JobView, LISTED_STATES, type ListedState } from '@penstock/queue';
import { jobTable } from '../../listing/job-text.ts';
import { parseSince } from '../../listing/since.ts';
import { print, printJson, readerGone, say } from '../../terminal/output.ts';
import { onQueue } from '../../job/on-queue.ts';

interface ListOptions extends StoreOptions {
  state?: ListedState[];
  host?: string;
  root?: string;
  since?: number;
  limit: number;
  json?: boolean;
}

const LIMIT_DEFAULT = 50;

const EXAMPLES = `
Examples:
  $ penstock ls                                   the first ${LIMIT_DEFAULT}: what runs, what waits, what has ended
  $ penstock ls --state failed --since 1h
  $ penstock ls --host disk-3 --root captures
  $ penstock ls --state failed --json --limit 100000 | jq -r .error.code | sort | uniq -c

They come in the order active, waiting, prioritized, delayed, waiting-children, failed, completed; what waits in the order in
which it is taken, what has ended the newest first. Ended jobs are kept as long as the queue keeps them: unless their
producer says otherwise, the last 1000 completed and the last 5000 failed ones.
Exit codes: 0 listed, 1 Redis cannot be used.`;

export function listCommand(): Command {
  const command = new Command('ls')
    .description('List the jobs of all queues.')
    .addOption(
      new Option('--state <state>', `only these: ${LISTED_STATES.join(', ')} (repeatable)`).argParser(collectState),
    )
    .option('--host <name>', 'only those that this host has, had last, or alone may take', parseHostName)
    .option('--root <name>', 'only those that write to this root')
    .option(
      '--since <age>',
      'only those that were added, begun or ended since: 10min, 2h, or 2026-11-28T03:00',
      parseSince,
    )
    .option('--limit <n>', 'at most so many', wholeNumber(1, 1_000_000_000), LIMIT_DEFAULT)
    .option('--json', 'print one JSON object a line');
  addStoreOptions(command.optionsGroup('Which queue:'));
  return command.addHelpText('after', EXAMPLES).action(list);
}

function collectState(text: string, before: ListedState[] = []): ListedState[] {
  const state = LISTED_STATES.find((known) => known === text);
  if (state === undefined) throw new InvalidArgumentError(`Give one of ${LISTED_STATES.join(', ')}.`);
  return [...before, state];
}

async function list({ state, host, root, since, limit, json, ...store }: ListOptions): Promise<void> {
  const filter = {
    ...(state === undefined ? {} : { states: state }),
    ...(host === undefined ? {} : { host }),
    ...(root === undefined ? {} : { root }),
    ...(since === undefined ? {} : { sinceMs: since }),
  };
  await onQueue(store, async (queue) => {
    const rows: JobView[] = [];
    let count = 0;
    let isAll = true;
    for await (const job of queue.list(filter)) {
      if (readerGone.aborted) return;
      if (count === limit) {
        isAll = false;
        break;
      }
      count += 1;
      if (json === true) printJson(job);
      else rows.push(job);
    }
    if (rows.length > 0) print(jobTable(rows));
    if (count === 0) say('no jobs');
    if (!isAll) say(`there are more: --limit shows more than ${limit}`);
  });
}
