/**
 * The bench: `npm run bench [-- name…]`. Every case runs next to its peer in the same run; the results go to
 * test/bench/results/<date>.json, .md and .svg, and a target that is missed fails the run.
 */
import { System, checkoutRoot, scratch } from '../support/system.ts';
import { againstBuild, builtCheckout } from './against.ts';
import type { BenchCase } from './case.ts';
import { type BuiltCommit, buildCommit } from './compare.ts';
import { type Machine, describeMachine } from './report/machine.ts';
import { type Outcome, runCase, unmeasured, verdictOn } from './outcome.ts';
import { type Options, USAGE, readOptions } from './options.ts';
import type { Sample } from './pairs.ts';
import { writeResults } from './report/results.ts';
import { figureRatiosOf, figuresOf, figuresText, machineText } from './report/table.ts';
import { ceilingTargets, ratioTargets } from './targets.ts';

const EXIT_MISSED = 1;
const EXIT_USAGE = 2;
/** As a shell reports one that a signal ended: 128 and the signal's number. */
const EXIT_OF_SIGNAL = { SIGINT: 130, SIGTERM: 143 };

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Another commit is built before anything runs, and removed however the run ends. */
async function withCommit(commit: string, work: (built: BuiltCommit) => Promise<void>): Promise<void> {
  const stopping = new AbortController();
  let built: BuiltCommit | null = null;
  for (const [signal, exitCode] of Object.entries(EXIT_OF_SIGNAL)) {
    process.once(signal, () => {
      stopping.abort();
      process.exitCode = exitCode;
      // While it is being built, the end of that removes it.
      if (built === null) return;
      built.remove();
      process.exit();
    });
  }
  say(`building ${commit}`);
  built = await buildCommit(checkoutRoot, commit, scratch, stopping.signal).catch((error: Error) => refuse(error));
  if (built === null) return;
  try {
    await work(built);
  } finally {
    built.remove();
  }
}

const besideText = (bench: BenchCase): string => (bench.kind === 'paired' ? `against ${bench.peer}` : 'without a peer');

function targetText(bench: BenchCase): string {
  if (bench.kind === 'measured') {
    const { promise, max, unit } = ceilingTargets[bench.name];
    return `promised: ${promise}; at most ${max} ${unit}`;
  }
  const { promise, ratioMin, cpuRatioMax } = ratioTargets[bench.name];
  if (ratioMin === null) return `shown: ${promise}`;
  const cpu = cpuRatioMax === null ? '' : `, at most ${cpuRatioMax} of its CPU`;
  return `promised: ${promise}; at least ${ratioMin} times its rate${cpu}`;
}

function sayCases(chosen: BenchCase[]): void {
  for (const bench of chosen) {
    say(`${bench.name}: ${bench.what}\n  ${besideText(bench)}\n  ${targetText(bench)}`);
    const missing = bench.missing({ smoke: false });
    if (missing !== null) say(`  would be skipped: ${missing}`);
  }
}

function sayOutcome(outcome: Outcome): void {
  if (outcome.kind === 'unmeasured') {
    say(`  ${outcome.verdict}: ${outcome.reason}`);
    return;
  }
  const verdict = verdictOn(outcome);
  if (outcome.kind === 'measured') {
    const { target, result } = outcome;
    const { value, figures } = result;
    say(`  ${value.toFixed(2)} ${target.unit}${figuresText(figures)}, at most ${target.max}: ${verdict}`);
    return;
  }
  const { unit, target, result, peer } = outcome;
  const saySide = (who: string, rate: number, samples: Sample[]): void => {
    const all = samples.map((sample) => sample.rate.toFixed(0)).join(' ');
    say(`  ${who}  ${rate.toFixed(0)} ${unit} median of: ${all}${figuresText(figuresOf(samples))}`);
  };
  saySide('ours', result.subjectMedian, result.subject);
  saySide('peer', result.peerMedian, result.peer);
  const floor = target.ratioMin === null ? '' : `, at least ${target.ratioMin}`;
  const others = figureRatiosOf(outcome).map(({ name, ratio: of, max }) => `; ${name} ${of}, at most ${max}`);
  const ceiling = target.cpuRatioMax === null ? '' : `, at most ${target.cpuRatioMax}`;
  say(
    `  ratio ${result.ratio.toFixed(2)} to ${peer}${floor}${others.join('')}; CPU ${result.cpuRatio.toFixed(2)} of the peer's${ceiling}: ${verdict}`,
  );
}

/** What was asked for makes no sense. */
function refuse({ message }: Error, usage = ''): null {
  process.stderr.write(`${message}\n${usage}`);
  process.exitCode ??= EXIT_USAGE;
  return null;
}

async function machine(): Promise<Machine> {
  const system = await System.open();
  try {
    return await describeMachine(system);
  } finally {
    await system.close();
  }
}

/** The cases as they are to run. @throws where the other build is none, or a case has no rate */
function planned({ chosen, against, targetOf }: Options, built: BuiltCommit | null): BenchCase[] {
  if (against === null) return chosen;
  const other = built ?? builtCheckout('checkout' in against ? against.checkout : '');
  return chosen.map((bench) => againstBuild(bench, other, targetOf(bench.name)));
}

async function runAll(chosen: BenchCase[], { pairs, smoke, out, name }: Options): Promise<void> {
  const ranOn = await machine();
  say(machineText(ranOn));
  const outcomes: Outcome[] = [];
  for (const bench of chosen) {
    say(`${bench.name}: ${bench.what}\n  ${besideText(bench)}`);
    // One that goes wrong must not take the results of the others with it.
    const outcome = await runCase(bench, { pairs, warmups: smoke ? 0 : 1, smoke }).catch((error: Error) =>
      unmeasured(bench, 'failed', error.message),
    );
    sayOutcome(outcome);
    outcomes.push(outcome);
  }
  if (out !== null) {
    const date = new Date().toISOString().slice(0, 10);
    for (const file of writeResults(out, name, { date, machine: ranOn, pairs, smoke, outcomes })) {
      say(`written: ${file}`);
    }
  }
  const verdicts = new Set(outcomes.map(verdictOn));
  // The figures of a smoke run are too small to judge.
  if (verdicts.has('failed') || (!smoke && verdicts.has('missed'))) process.exitCode = EXIT_MISSED;
}

async function main(options: Options): Promise<void> {
  const { list, help, against, chosen } = options;
  if (help) return say(USAGE);
  if (list) return sayCases(chosen);
  const runPlanned = async (built: BuiltCommit | null): Promise<void> => {
    let cases: BenchCase[];
    try {
      cases = planned(options, built);
    } catch (error) {
      refuse(error as Error);
      return;
    }
    await runAll(cases, options);
  };
  if (against !== null && 'commit' in against) return withCommit(against.commit, runPlanned);
  return runPlanned(null);
}

let options: Options | null = null;
try {
  options = readOptions();
} catch (error) {
  refuse(error as Error, `\n${USAGE}`);
}
if (options !== null) await main(options);
