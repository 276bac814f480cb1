/** `penstock resume`: lets a paused job go on. */
import type { Command } from 'commander';
import { type SteerOptions, steerCommand, steerJob } from './steer-job.ts';

export function resumeCommand(): Command {
  return steerCommand('resume', 'Let a paused job go on.', '  $ penstock resume 1q9jvken2byc5')
    .argument('<id>', 'the id that enqueue printed')
    .action((id: string, options: SteerOptions) =>
      steerJob(
        options,
        id,
        (queue) => queue.resume(id),
        () => `job ${id} goes on`,
      ),
    );
}
