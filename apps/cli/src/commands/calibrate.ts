/** `penstock calibrate`: measures how a root is written fastest, and keeps that for the hosts. */
import { release } from 'node:os';
import { Argument, Command } from 'commander';
import { addDataOption, defaultRoot, defaults, makeDirectories, storeSettings, wholeNumber } from '@penstock/config';
import type { Profile, Tuning } from '@penstock/config/tuning';
import { formatBytes } from '@penstock/contract';
import { type Candidate, type Sampled, median } from '../calibrate/narrow.ts';
import { UsageError } from '../terminal/failures.ts';
import { formatRate, formatSeconds } from '../terminal/figures.ts';
import { type RootChoice, parseRootChoice } from '../job/host-roots.ts';
import { takeInterrupts } from '../terminal/interrupts.ts';
import { answering } from '../job/job-report.ts';
import { print, say } from '../terminal/output.ts';

interface CalibrateOptions {
  data?: string;
  seconds: number;
  json?: boolean;
}

/** Starting and stopping what carries the trials takes a few seconds more: together less than a minute. */
const SECONDS = 45;

const EXAMPLES = `
Examples:
  $ penstock calibrate                             the root "data"
  $ penstock calibrate captures=/srv/captures      a root as penstock host --root defines it
  $ penstock calibrate data --seconds 20 --json

Best while nothing else uses the disk. From their next start on, hosts of the same data directory take from it what
their options leave open: threads, depth, and the matrix of requests that name none.`;

export function calibrateCommand(): Command {
  const command = new Command('calibrate')
    .description('Measure row size x depth x threads on a root, and keep what is best for the hosts.')
    .addArgument(
      new Argument('[root]', 'name=directory, or "data" alone')
        .argParser(parseRootChoice)
        .default({ name: defaults.ROOT_NAME }, defaults.ROOT_NAME),
    )
    .option('--seconds <n>', 'the longest that is measured', wholeNumber(1, 3600), SECONDS)
    .option('--json', 'print one JSON object, with the profile and the file it is kept in');
  return addDataOption(command)
    .addHelpText('after', EXAMPLES)
    .action(async (choice: RootChoice, options: CalibrateOptions) => {
      await answering(options.json === true, () => calibrate(choice, options));
    });
}

async function calibrate(choice: RootChoice, options: CalibrateOptions): Promise<{ file: string; profile: Profile }> {
  const startedAt = performance.now();
  const { dataDirectory } = storeSettings(options, process.env);
  const root = rootOf(choice, dataDirectory);
  const interrupts = takeInterrupts();
  try {
    const [{ deviceOf }, { writeProfile }, { measureRoot }] = await Promise.all([
      import('@penstock/disk'),
      import('@penstock/config/tuning'),
      import('../calibrate/measure.ts'),
    ]);
    makeDirectories(root.path);
    const device = deviceOf(root.path);
    const { number, fileSystem, tags } = device;
    say(`root ${root.name} = ${root.path}: ${fileSystem} on device ${number}, tags: ${tags ?? 'not known'}`);
    const { winner, trials, complete } = await measureRoot(root, tags, options.seconds, interrupts, (trial) =>
      say(`  ${describe(trial)}`),
    );
    const profile: Profile = {
      version: 1,
      root: root.name,
      path: root.path,
      device,
      kernel: release(),
      measuredAt: new Date().toISOString(),
      winner: tuningOf(winner),
      trials: trials.map((trial) => ({
        ...tuningOf(trial),
        bytesPerSecond: Math.round(median(trial.samples)),
        samples: trial.samples.length,
      })),
    };
    const file = writeProfile(dataDirectory, profile);
    if (options.json !== true) {
      await printTrials(trials, winner);
      print(`${describe(winner)}; measured in ${formatSeconds(performance.now() - startedAt)}`);
      print(`kept in ${file}, for hosts that start from now on`);
    }
    if (!complete) say(`the time was over before all was tried: more than --seconds ${options.seconds} finds out more`);
    return { file, profile };
  } finally {
    interrupts.release();
  }
}

/** The root that was named. @throws UsageError if its directory is not known, or is not written to */
function rootOf({ name, definition }: RootChoice, dataDirectory: string): ReturnType<typeof defaultRoot> {
  if (definition?.writable === false) throw new UsageError(`the root ${name} is for reading only: nothing is written`);
  if (definition !== undefined) return definition;
  if (name === defaults.ROOT_NAME) return defaultRoot(dataDirectory);
  const example = name.includes('/') ? `name=${name}` : `${name}=/some/directory`;
  throw new UsageError(`${name} names no directory that is known here: give both, as to a host, ${example}`);
}

const tuningOf = ({ threads, depth, rowBytes }: Candidate): Tuning => ({ threads, depth, rows: depth, rowBytes });

function describe({ threads, depth, rowBytes, samples }: Sampled): string {
  const count = threads === 1 ? '1 thread' : `${threads} threads`;
  return `${count} x ${depth} rows of ${formatBytes(rowBytes)}: ${formatRate(median(samples))}`;
}

const MIB = 1_048_576;
const COLUMNS = [
  { heading: '' },
  { heading: 'threads', alignment: 'right' },
  { heading: 'depth', alignment: 'right' },
  { heading: 'row', alignment: 'right' },
  { heading: 'row memory', alignment: 'right' },
  { heading: 'MiB/s', alignment: 'right' },
  { heading: 'samples', alignment: 'right' },
] as const;

async function printTrials(trials: readonly Sampled[], winner: Sampled): Promise<void> {
  const { drawTable } = await import('../terminal/table-text.ts');
  const rows = trials.map((trial) => [
    trial === winner ? '*' : '',
    String(trial.threads),
    String(trial.depth),
    formatBytes(trial.rowBytes),
    formatBytes(trial.threads * trial.depth * trial.rowBytes),
    (median(trial.samples) / MIB).toFixed(0),
    String(trial.samples.length),
  ]);
  print(drawTable(COLUMNS, rows, false));
}
