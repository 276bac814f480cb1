/** `penstock limit`: how many bytes a second a job, a host or a root may write, from now on. */
import type { Command } from 'commander';
import { parseRate } from '@penstock/config';
import { formatBytes } from '@penstock/contract';
import { UsageError } from '../../terminal/failures.ts';
import { say } from '../../terminal/output.ts';
import { type SteerOptions, steer, steerCommand, steerJob } from './steer-job.ts';

interface LimitOptions extends SteerOptions {
  host?: string;
  root?: string;
}

/** Gives the say back to the settings of the host. */
const AS_CONFIGURED = 'default';

const EXAMPLES = `  $ penstock limit 1q9jvken2byc5 100MiB
  $ penstock limit 1q9jvken2byc5 none
  $ penstock limit --host disk-3 1GiB
  $ penstock limit --root captures 200MiB                each host that has it, by itself
  $ penstock limit --root captures --host disk-3 200MiB
  $ penstock limit --host disk-3 default                 as its --limit has it`;

export function limitCommand(): Command {
  return steerCommand('limit', 'Limit a running or waiting job, a host or a root to so many bytes a second.', EXAMPLES)
    .argument('<id-or-rate>', 'the id that enqueue printed; with --host or --root the rate')
    .argument('[rate]', 'bytes a second, like 100MiB; none lifts the limit')
    .option('--host <name>', 'all that this host writes')
    .option('--root <name>', 'all that is written to this root')
    .action((first: string, second: string | undefined, options: LimitOptions) =>
      options.host === undefined && options.root === undefined
        ? limitJob(first, second, options)
        : limitStanding(first, second, options),
    );
}

function limitJob(id: string, text: string | undefined, options: LimitOptions): Promise<void> {
  if (text === undefined) throw new UsageError('Give a job and its rate, like: penstock limit 1q9jvken2byc5 100MiB');
  const rate = parseRate(text);
  return steerJob(
    options,
    id,
    (queue) => queue.limit(id, rate),
    () => `job ${id} ${inWords(rate)}`,
  );
}

async function limitStanding(text: string, extra: string | undefined, options: LimitOptions): Promise<void> {
  if (extra !== undefined) throw new UsageError('A job, or --host or --root: not both.');
  const { host, root } = options;
  const rate = text === AS_CONFIGURED ? null : parseRate(text);
  const limit = rate === null ? null : { bytesPerSecond: rate };
  const what = root === undefined ? `host ${host}` : `root ${root}${host === undefined ? '' : ` of host ${host}`}`;
  await steer(
    options,
    undefined,
    async (queue) => {
      if (root !== undefined) await queue.limitRoot(root, limit, host);
      else await queue.limitHost(host!, limit);
      if (host !== undefined && !(await queue.hosts()).some(({ name }) => name === host)) {
        say(`no host of the name ${host} was ever here: it holds when one is started`);
      }
      return { ...(host === undefined ? {} : { host }), ...(root === undefined ? {} : { root }), limit };
    },
    () => `${what} ${rate === null ? 'is limited as its settings say' : inWords(rate)}`,
  );
}

const inWords = (rate: number): string => (rate === 0 ? 'has no limit' : `is limited to ${formatBytes(rate)}/s`);
