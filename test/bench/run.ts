/**
 * The bench: `npm run bench [-- name…]`. Every case runs next to its peer in the same run; the results go to
 * test/bench/results/<date>.json, .md and .svg, and a target that is missed fails the run.
 */
import { System, checkoutRoot, scratch } from '../support/system.ts';
import { type OtherBuild, againstBuild, builtCheckout } from './against.ts';
import type { BenchCase } from './case.ts';
import { cases as allCases } from './cases/index.ts';
import { buildCommit } from './compare.ts';
import { keepFiles, keepHomesApart, takeCores, takeDisk } from './disk.ts';
import { type Machine, describeMachine } from './report/machine.ts';
import { type Outcome, runCase, unmeasured, verdictOn } from './outcome.ts';
import { type Options, USAGE, readOptions } from './options.ts';
import type { Sample } from './pairs.ts';
import { merged, readRecords, writeDocuments, writeRecord } from './report/records.ts';
import { writeResults } from './report/results.ts';
import { type Report, figureRatiosOf, figuresOf, figuresText, machineText } from './report/table.ts';
import { ceilingTargets, ratioTargets } from './targets.ts';

const EXIT_MISSED = 1;
const EXIT_USAGE = 2;
/** As a shell reports one that a signal ended: 128 and the signal's number. */
const EXIT_OF_SIGNAL = { SIGINT: 130, SIGTERM: 143 };

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** What is removed however the run ends: another commit's build, another disk. */
const removals: (() => void)[] = [];
const stopping = new AbortController();

function removeAll(): void {
  for (const remove of removals.splice(0).toReversed()) remove();
}

for (const [signal, exitCode] of Object.entries(EXIT_OF_SIGNAL)) {
  process.once(signal, () => {
    process.exitCode = exitCode;
    stopping.abort();
    // What is being built is removed by the end of that.
    if (removals.length === 0) return;
    removeAll();
    process.exit();
  });
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

/** What was asked for makes no sense, or cannot be had here. */
function refuse({ message }: Error, usage = ''): void {
  process.stderr.write(`${message}\n${usage}`);
  process.exitCode ??= EXIT_USAGE;
}

async function machine(): Promise<Machine> {
  const system = await System.open();
  try {
    return await describeMachine(system);
  } finally {
    await system.close();
  }
}

/** The build that cases are paired with; null if each has its own peer. @throws (rejects) if it is none */
async function otherBuild({ against }: Options): Promise<OtherBuild | null> {
  if (against === null) return null;
  if ('checkout' in against) return builtCheckout(against.checkout);
  say(`building ${against.commit}`);
  const built = await buildCommit(checkoutRoot, against.commit, scratch, stopping.signal);
  removals.push(built.remove);
  return built;
}

/** The kind of machine that was asked for. @throws if this one cannot be it */
function takeMachine({ cores, disk, smoke }: Options): void {
  if (cores !== null) takeCores(cores);
  if (disk !== null) {
    say(`making a disk: ${disk}`);
    removals.push(takeDisk(disk, { smoke }));
  }
  keepHomesApart();
  removals.push(keepFiles());
}

function keep(report: Report, { out, name, record }: Options): void {
  if (out !== null) for (const file of writeResults(out, name, report)) say(`written: ${file}`);
  if (record === null) return;
  const all = allCases.map((bench) => bench.name);
  writeRecord(checkoutRoot, record, merged(readRecords(checkoutRoot).get(record), report, all));
  for (const file of writeDocuments(checkoutRoot)) say(`written: ${file}`);
}

async function runAll(options: Options, other: OtherBuild | null): Promise<void> {
  const { chosen, pairs, smoke, targetOf } = options;
  const cases = other === null ? chosen : chosen.map((bench) => againstBuild(bench, other, targetOf(bench.name)));
  const ranOn = await machine();
  say(machineText(ranOn));
  const outcomes: Outcome[] = [];
  for (const bench of cases) {
    say(`${bench.name}: ${bench.what}\n  ${besideText(bench)}`);
    // One that goes wrong must not take the results of the others with it.
    const outcome = await runCase(bench, { pairs, warmups: smoke ? 0 : 1, smoke }).catch((error: Error) =>
      unmeasured(bench, 'failed', error.message),
    );
    sayOutcome(outcome);
    outcomes.push(outcome);
  }
  const date = new Date().toISOString().slice(0, 10);
  keep({ date, machine: ranOn, against: other?.name ?? null, pairs, smoke, outcomes }, options);
  const verdicts = new Set(outcomes.map(verdictOn));
  // The figures of a smoke run are too small to judge.
  if (verdicts.has('failed') || (!smoke && verdicts.has('missed'))) process.exitCode = EXIT_MISSED;
}

async function main(options: Options): Promise<void> {
  if (options.help) return say(USAGE);
  if (options.list) return sayCases(options.chosen);
  if (options.documents) {
    for (const file of writeDocuments(checkoutRoot)) say(`written: ${file}`);
    return;
  }
  let other: OtherBuild | null;
  try {
    takeMachine(options);
    other = await otherBuild(options);
  } catch (error) {
    refuse(error as Error);
    return;
  }
  await runAll(options, other);
}

let options: Options | null = null;
try {
  options = readOptions();
} catch (error) {
  refuse(error as Error, `\n${USAGE}`);
}
try {
  if (options !== null) await main(options);
} finally {
  removeAll();
}
