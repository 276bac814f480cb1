/** `penstock capacity`: shows or sets how many bytes may be in the queue. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { addStoreOptions, type StoreOptions } from '@penstock/config';
import { formatBytes, parseSize } from '@penstock/contract';
import type { Capacity } from '@penstock/queue';
import { onQueue } from '../job/on-queue.ts';
import { print, printJson } from '../terminal/output.ts';

interface CapacityOptions extends StoreOptions {
  whenFull?: 'reject' | 'wait';
  json?: boolean;
}

const EXAMPLES = `
Examples:
  $ penstock capacity                          how much may be queued, and how much is
  $ penstock capacity 500GiB                   refuse what goes beyond it
  $ penstock capacity 500GiB --when-full wait  let producers wait for room
  $ penstock capacity none                     no limit

What counts are the bytes of writes that have not ended, as far as their requests tell them. Producers that use Penstock's
library, command line or gateway heed the limit within a second; other BullMQ clients do not know of it.`;

export function capacityCommand(): Command {
  const command = new Command('capacity')
    .description('Show or set how many bytes the writes in the queue may have together.')
    .argument('[bytes]', 'the limit, like 500GiB, or "none"; without it the limit and its use are shown', parseLimit)
    .addOption(
      new Option(
        '--when-full <what>',
        'what producers meet whose writes do not fit (default: as it is, else reject)',
      ).choices(['reject', 'wait']),
    )
    .option('--json', 'print one JSON object');
  addStoreOptions(command.optionsGroup('Which queue:'));
  return command.addHelpText('after', EXAMPLES).action(capacity);
}

function parseLimit(text: string): number | 'none' {
  if (text === 'none') return text;
  try {
    return parseSize(/^\d+$/.test(text) ? Number(text) : text);
  } catch (error) {
    throw new InvalidArgumentError(`${(error as Error).message}, or "none".`);
  }
}

async function capacity(limit: number | 'none' | undefined, options: CapacityOptions): Promise<void> {
  const { whenFull } = options;
  await onQueue(options, async (queue) => {
    const before = await queue.capacity();
    const bytes = limit === 'none' ? null : (limit ?? before.bytes);
    const changes = limit !== undefined || (whenFull !== undefined && bytes !== null);
    if (changes) await queue.setCapacity({ bytes, whenFull: whenFull ?? before.whenFull });
    const now = changes ? await queue.capacity() : before;
    if (options.json === true) printJson(now);
    else print(describeCapacity(now));
  });
}

/** "12.00 GiB of 500.00 GiB in use by 3 jobs; what does not fit waits". */
export function describeCapacity({ bytes, whenFull, usedBytes, jobs }: Capacity): string {
  if (bytes === null) return 'no limit; what is in use is counted once there is one';
  const who = `${jobs} ${jobs === 1 ? 'job' : 'jobs'}`;
  return `${formatBytes(usedBytes)} of ${formatBytes(bytes)} in use by ${who}; what does not fit ${whenFull === 'wait' ? 'waits' : 'is refused'}`;
}
