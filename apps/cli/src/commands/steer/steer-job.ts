/** What the commands that steer have in common: which queue, one order to it, one answer. */
import { Command } from 'commander';
import { addStoreOptions, type StoreOptions } from '@penstock/config';
import type { SteeredState, WriteQueue } from '@penstock/queue';
import { answering } from '../../job/job-report.ts';
import { onQueue } from '../../job/on-queue.ts';
import { print } from '../../terminal/output.ts';

export interface SteerOptions extends StoreOptions {
  json?: boolean;
}

/** A command with the options of all that steer. */
export function steerCommand(name: string, description: string, examples: string): Command {
  const command = new Command(name).description(description).option('--json', 'print one JSON object');
  addStoreOptions(command.optionsGroup('Which queue:'));
  return command.addHelpText(
    'after',
    `\nExamples:\n${examples}\n\nExit codes: 0 the queue has it, 1 it has ended, 2 there is no such job.`,
  );
}

/** Gives an order to the queue; `describe` is the sentence that is printed of its outcome. */
export async function steer<Found extends object>(
  options: SteerOptions,
  id: string | undefined,
  order: (queue: WriteQueue) => Promise<Found>,
  describe: (found: Found) => string,
): Promise<void> {
  await answering(options.json === true, async (answer) => {
    if (id !== undefined) answer.id = id;
    const found = await onQueue(options, order);
    if (options.json !== true) print(describe(found));
    return found;
  });
}

/** Orders something of one job. */
export function steerJob(
  options: SteerOptions,
  id: string,
  order: (queue: WriteQueue) => Promise<SteeredState>,
  describe: (state: SteeredState) => string,
): Promise<void> {
  return steer(
    options,
    id,
    async (queue) => ({ state: await order(queue) }),
    ({ state }) => describe(state),
  );
}
