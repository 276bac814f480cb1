/** `penstock cancel`: ends a job for good, wherever it is. */
import type { Command } from 'commander';
import { type SteerOptions, steerCommand, steerJob } from './steer-job.ts';

const EXAMPLES = `  $ penstock cancel 1q9jvken2byc5
  $ penstock cancel 1q9jvken2byc5 --why "the disk is needed"`;

export function cancelCommand(): Command {
  return steerCommand(
    'cancel',
    'End a job for good. What it has written is removed, unless it is in its place already.',
    EXAMPLES,
  )
    .argument('<id>', 'the id that enqueue printed')
    .option('--why <text>', 'told to whoever waits for the job, and kept with it')
    .action((id: string, options: SteerOptions & { why?: string }) =>
      steerJob(
        options,
        id,
        (queue) => queue.cancel(id, options.why === undefined ? {} : { why: options.why }),
        (state) =>
          state === 'active' ? `job ${id} is being stopped by its host` : `job ${id} is cancelled; it was ${state}`,
      ),
    );
}
