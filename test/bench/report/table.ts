/** A run as Markdown: what was measured beside what, what was promised of it, and on which machine. */
import { type Measured, type Outcome, type Paired, verdictOn } from '../outcome.ts';
import type { Machine } from './machine.ts';
import { type Sample, figureRatio, median } from '../pairs.ts';
import type { ProcessUsage } from '../processes.ts';

/** All that a run leaves behind. */
export interface Report {
  /** The build that every case was paired with; null if each had its own peer. */
  against: string | null;
  date: string;
  machine: Machine;
  pairs: number;
  smoke: boolean;
  outcomes: Outcome[];
}

/** How a report is written: on a page of its own, or under a heading of one with others. */
export interface Placing {
  title: string;
  /** Of the headings below it, to tell them from those of others. */
  suffix?: string;
  level?: number;
}

/** Fewer pairs than this prove nothing, and a table of them says so. */
export const PAIRS_MIN = 5;

export const METHOD: string =
  "Each row ran beside its peer in this one run, in turns, after a warm-up, the disk at rest before each; rates are medians, the ratio is the median of the pairs' ratios. CPU is that of every process that took part, Redis and the producer included; kernel threads, which write back what buffered peers left, are not.";

export function renderTable(report: Report): string {
  return renderReport(report, { title: `Penstock's bench, ${report.date}` });
}

export function renderReport(
  { date, machine, pairs, smoke, outcomes }: Report,
  { title, suffix = '', level = 1 }: Placing,
): string {
  const paired = outcomes.filter((outcome) => outcome.kind === 'paired');
  const measured = outcomes.filter((outcome) => outcome.kind === 'measured');
  const unmeasured = outcomes.filter((outcome) => outcome.kind === 'unmeasured');
  const heading = '#'.repeat(level);
  return [
    `${heading} ${title}`,
    ...(smoke ? ['**A smoke run: small, to see that it runs. Its figures mean nothing.**'] : []),
    ...(!smoke && pairs < PAIRS_MIN
      ? [`**Only ${pairs} of at least ${PAIRS_MIN} pairs: the medians prove little.**`]
      : []),
    `${machineText(machine)}\n- ${date}, ${pairs} pairs`,
    ...(level === 1 ? [METHOD] : []),
    ...(paired.length === 0 ? [] : [pairedTable(paired)]),
    ...(measured.length === 0 ? [] : [measuredTable(measured)]),
    ...(unmeasured.length === 0
      ? []
      : [unmeasured.map(({ name, verdict, reason }) => `- ${name} ${verdict}: ${reason}`).join('\n')]),
    `${heading}# Processes${suffix}`,
    'CPU seconds and peak resident memory, medians of the runs.',
    processTable(paired, measured),
    '',
  ]
    .join('\n\n')
    .trimEnd()
    .concat('\n');
}

export function machineText({
  cpu,
  cores,
  memoryGiB,
  kernel,
  node,
  redis,
  fio,
  fileSystem,
  loadAverage,
  commit,
}: Machine): string {
  const { device, options, queue } = fileSystem;
  const attributes = Object.entries(queue).map(([name, value]) => `${name} ${value}`);
  return [
    `- ${cores} ${cores === 1 ? 'core' : 'cores'}, ${cpu}; ${memoryGiB} GiB; load ${loadAverage} at the start`,
    `- ${[`${fileSystemText(fileSystem)} (${options}) on ${device}`, ...attributes].join(', ')}`,
    `- Linux ${kernel}, Node ${node}, Redis ${redis}, ${fio ?? 'no fio'}${commit === null ? '' : `, commit ${commit}`}`,
  ].join('\n');
}

/** "ext4 without a journal". */
export const fileSystemText = ({ type, journal }: Machine['fileSystem']): string =>
  journal === false ? `${type} without a journal` : type;

function pairedTable(paired: Paired[]): string {
  return table(
    ['', 'what', 'peer', 'ours', "peer's", 'ratio', 'target', 'CPU ratio', 'CPU target', ''],
    paired.map((outcome) => {
      const { name, what, peer, unit, target, result } = outcome;
      return [
        name,
        what,
        peer,
        `${result.subjectMedian.toFixed(0)} ${unit}${figuresText(figuresOf(result.subject))}`,
        `${result.peerMedian.toFixed(0)} ${unit}${figuresText(figuresOf(result.peer))}`,
        [result.ratio.toFixed(2), ...figureRatiosOf(outcome).map((figure) => `${figure.name} ${figure.ratio}`)].join(
          ', ',
        ),
        [
          atLeast(target.ratioMin),
          ...figureRatiosOf(outcome).map((figure) => `${figure.name} ${atMost(figure.max)}`),
        ].join(', '),
        result.cpuRatio.toFixed(2),
        atMost(target.cpuRatioMax),
        verdictText(outcome),
      ];
    }),
  );
}

function measuredTable(measured: Measured[]): string {
  return table(
    ['', 'what', 'measured', 'target', ''],
    measured.map((outcome) => {
      const { name, what, target, result } = outcome;
      return [
        name,
        what,
        `${result.value.toFixed(2)} ${target.unit}${figuresText(result.figures)}`,
        `at most ${target.max} ${target.unit}`,
        verdictText(outcome),
      ];
    }),
  );
}

function processTable(paired: Paired[], measured: Measured[]): string {
  const rows = [
    ...paired.flatMap(({ name, result: { subject, peer } }) => [
      [name, 'ours', usageText(subject)],
      [name, 'peer', usageText(peer)],
    ]),
    ...measured.map(({ name, result: { processes } }) => [name, 'ours', usageText([{ processes }])]),
  ];
  return table(['', 'side', 'processes'], rows);
}

/** "host 0.21 s 120 MiB, redis 0.01 s 9 MiB": medians over the samples. */
function usageText(samples: readonly { processes: ProcessUsage[] }[]): string {
  const names = samples[0]?.processes.map(({ name }) => name) ?? [];
  const of = (index: number, field: 'cpuSeconds' | 'peakRssBytes'): number =>
    median(samples.map(({ processes }) => processes[index]![field]));
  return names
    .map(
      (name, index) =>
        `${name} ${of(index, 'cpuSeconds').toFixed(2)} s ${(of(index, 'peakRssBytes') / 2 ** 20).toFixed(0)} MiB`,
    )
    .join(', ');
}

/** The medians of what else the samples saw. */
export function figuresOf(samples: readonly Sample[]): Record<string, number> {
  const names = Object.keys(samples[0]?.figures ?? {});
  return Object.fromEntries(names.map((name) => [name, median(samples.map(({ figures }) => figures[name]!))]));
}

/** " (p99 41.0 ms, sum 2100.0 MiB/s)": a figure's name ends in its unit. */
export function figuresText(figures: Record<string, number>): string {
  const texts = Object.entries(figures).map(([name, value]) => {
    const [, label = name, unit = ''] = /^(.*) (\S+)$/.exec(name) ?? [];
    return `${label} ${value.toFixed(1)} ${unit}`;
  });
  return texts.length === 0 ? '' : ` (${texts.join(', ')})`;
}

/** What is demanded of other figures than the rate, and what it was. */
export function figureRatiosOf({ target, result }: Paired): { name: string; ratio: string; max: number }[] {
  return Object.entries(target.figureRatioMax ?? {}).map(([name, max]) => {
    const ratio = figureRatio(result, name);
    return { name, ratio: ratio === null ? 'not seen' : ratio.toFixed(2), max };
  });
}

/** What is missed stands out. */
function verdictText(outcome: Outcome): string {
  const verdict = verdictOn(outcome);
  return verdict === 'missed' ? '**missed**' : verdict;
}

const atLeast = (value: number | null): string => (value === null ? 'none' : `at least ${value}`);
const atMost = (value: number | null): string => (value === null ? 'none' : `at most ${value}`);

/** The columns from `rightFrom` on hold figures. */
export function table(head: string[], rows: string[][], rightFrom: number = head.length): string {
  const line = (cells: string[]): string => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map((_, index) => (index < rightFrom ? '---' : '---:'))), ...rows.map(line)].join('\n');
}
