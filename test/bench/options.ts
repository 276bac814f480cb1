/** What the command line of the bench asks for. */
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { besideBench } from './beside.ts';
import type { BenchCase } from './case.ts';
import { cases } from './cases/index.ts';
import { RATIO_MIN, readDemands } from './demands.ts';
import { DISKS } from './disk.ts';
import { README_RECORD } from './report/records.ts';
import { PAIRS_MIN } from './report/table.ts';
import type { RatioTarget } from './targets.ts';

export const USAGE: string = `npm run bench -- [name…] [--pairs <n>] [--compare <commit>] [--out <directory>] [--smoke] [--list]

Runs every bench, or those named, each next to its peer in turns. Exits with 1 where a target is missed or a bench fails.
  --pairs <n>        how often each side runs (default: ${PAIRS_MIN}; fewer are allowed, and the table says so)
  --compare <commit> each case against itself in another commit of this repository, which is built in a folder that is
                     removed afterwards; of all cases those that have a rate
  --against <dir>    the same in another, built checkout
  --at-least <ratio> what fails such a run, of the other's rate (default: ${RATIO_MIN}); <case>=<ratio> of one case's
  --at-most <case>:<figure>=<ratio>
                     the same of a figure like p99, or of the CPU: small-4k:p99=0.5, small-4k:cpu=1
  --name <name>      what the results' files are called (default: the date)
  --out <directory>  where <name>.json, .md and .svg go (default: test/bench/results)
  --record <name>    keeps the run as docs/bench/<name>.json, and writes docs/bench.md and README's tables of all that are
                     kept: ${README_RECORD} is README's. Of some cases only, they take their places in what is kept
  --documents        writes those from what is kept, and runs nothing
  --cores <n>        on so many cores; --disk ${DISKS.join('|')}: on such a file system, on a loop device (as root):
                     other kinds of machine
  --smoke            once and small, to see that it runs: judges nothing, writes nothing unless --out is given
  --list             says what there is, and what keeps it from running here
`;

export interface Options {
  chosen: BenchCase[];
  pairs: number;
  smoke: boolean;
  list: boolean;
  help: boolean;
  /** What each case is paired with instead of its own peer; null if it is not. */
  against: { checkout: string } | { commit: string } | null;
  /** Of each case against another build. */
  targetOf: (name: string) => RatioTarget;
  /** Null: nothing is written. */
  out: string | null;
  name: string;
  /** What the run is kept as; null if it is not. */
  record: string | null;
  documents: boolean;
  /** Null: all that there are. */
  cores: number | null;
  /** Null: where the checkout is. */
  disk: string | null;
}

/** npm runs scripts in the package's directory, and reports from which one it was called. */
const given = (path: string): string => resolve(process.env['INIT_CWD'] ?? '.', path);

/** @throws if they make no sense */
export function readOptions(): Options {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      pairs: { type: 'string', default: String(PAIRS_MIN) },
      out: { type: 'string' },
      name: { type: 'string', default: new Date().toISOString().slice(0, 10) },
      against: { type: 'string' },
      compare: { type: 'string' },
      'at-least': { type: 'string', multiple: true, default: [] },
      'at-most': { type: 'string', multiple: true, default: [] },
      record: { type: 'string' },
      documents: { type: 'boolean', default: false },
      cores: { type: 'string' },
      disk: { type: 'string' },
      smoke: { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const unknown = positionals.filter((name) => !cases.some((bench) => bench.name === name));
  if (unknown.length > 0) throw new Error(`No such bench: ${unknown.join(', ')}. --list says what there is.`);
  const { smoke, list, help, name, compare, against: checkout } = values;
  if (compare !== undefined && checkout !== undefined) throw new Error('Give --compare or --against, not both.');
  const against =
    compare !== undefined ? { commit: compare } : checkout !== undefined ? { checkout: given(checkout) } : null;
  const isChosen = (bench: BenchCase): boolean =>
    positionals.length > 0 ? positionals.includes(bench.name) : against === null || bench.kind === 'paired';
  const chosen = cases.filter(isChosen);
  const rateless = against === null ? undefined : chosen.find((bench) => bench.kind !== 'paired');
  if (rateless !== undefined) throw new Error(`${rateless.name} measures no rate, so there is nothing to pair.`);
  if (!/^[1-9]\d*$/.test(values.pairs)) throw new Error(`--pairs takes a whole number from 1, not "${values.pairs}".`);
  for (const [option, text] of Object.entries({ name, record: values.record })) {
    if (text !== undefined && !/^\w[\w.-]*$/.test(text))
      throw new Error(`--${option} takes letters, digits, ".", "-" and "_", not "${text}".`);
  }
  const { record = null, documents, disk = null } = values;
  if (record !== null && smoke) throw new Error('The figures of a smoke run are not worth a record.');
  if (disk !== null && !DISKS.includes(disk)) throw new Error(`--disk takes ${DISKS.join(', ')}, not "${disk}".`);
  const cores = values.cores === undefined ? null : Number(values.cores);
  if (cores !== null && !(Number.isInteger(cores) && cores >= 1 && cores <= availableParallelism()))
    throw new Error(`--cores takes 1 to ${availableParallelism()}, not "${values.cores}".`);
  const known = new Set<string>(cases.map((bench) => bench.name));
  const targetOf = readDemands(values['at-least'], values['at-most'], known);
  const out = values.out !== undefined ? given(values.out) : smoke ? null : besideBench('results');
  const pairs = smoke ? 1 : Number(values.pairs);
  return { chosen, pairs, smoke, list, help, against, targetOf, out, name, record, documents, cores, disk };
}
