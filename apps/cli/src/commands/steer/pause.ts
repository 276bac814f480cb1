/** `penstock pause`: has a job wait until it is resumed. */
import type { Command } from 'commander';
import { type SteerOptions, steerCommand, steerJob } from './steer-job.ts';

export function pauseCommand(): Command {
  return steerCommand(
    'pause',
    'Have a job wait until it is resumed. A running write keeps its place, and gives its row memory back.',
    '  $ penstock pause 1q9jvken2byc5',
  )
    .argument('<id>', 'the id that enqueue printed')
    .action((id: string, options: SteerOptions) =>
      steerJob(
        options,
        id,
        (queue) => queue.pause(id),
        () => `job ${id} is paused: penstock resume ${id} lets it go on`,
      ),
    );
}
