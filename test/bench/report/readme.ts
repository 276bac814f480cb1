/** README's tables of the bench: each row in words for those who have not read its case. */
import { type Outcome, type Paired, verdictOn } from '../outcome.ts';
import type { PairedName } from '../targets.ts';
import { type Report, fileSystemText, table } from './table.ts';

/** The work, and what it ran beside. What is not here is on the page alone. */
const WORDS: Readonly<Partial<Record<PairedName, readonly [work: string, peer: string]>>> = {
  'large-1m': ['1 GiB, rows of 1 MiB', 'fio libaio direct'],
  'large-64k': ['1 GiB, rows of 64 KiB', 'fio libaio direct'],
  'large-4k': ['1 GiB, rows of 4 KiB', 'fio libaio direct, batched'],
  'overwrite-1m': ['1 GiB replacing a file atomically, rows of 1 MiB', 'fio, overwriting in place'],
  'overwrite-4k': ['1 GiB replacing a file atomically, rows of 4 KiB', 'fio, overwriting in place, batched'],
  'node-stream': ['1 GiB', 'createWriteStream, 2 MiB buffered'],
  'node-handles': ['1 GiB', '32 concurrent FileHandle.write'],
  'copy-cp': ['1 GiB copy', 'cp and sync'],
  'copy-dd': ['1 GiB copy', 'dd with direct I/O'],
  'threads-2': ['1 GiB in 4 files, two threads', 'one thread'],
  'jobs-4': ['1 GiB in 4 files at once, one thread', 'one file'],
  'files-4k': ['4 KiB files, one job each', 'a BullMQ worker on node:fs, as durable'],
  'files-64k': ['64 KiB files, one job each', 'the same'],
  'files-1m': ['1 MiB files, one job each', 'the same'],
  'small-4k': ['4 KiB files, one job each', 'a BullMQ worker that does nothing'],
  'bulk-4k': ['4 KiB files as bulks of 1,000', 'the same, one job each'],
  'small-beside-large': ['4 KiB files beside a saturating large write', 'the same alone'],
};

const whole = (value: number): string => Math.round(value).toLocaleString('en-US');

const missedIsBold = (outcome: Outcome, text: string): string =>
  verdictOn(outcome) === 'missed' ? `**${text}**` : text;

/** The tables as they stand in README: of the record `name`, the ratios of the others beside them. */
export function readmeText(records: ReadonlyMap<string, Report>, name: string): string {
  const report = records.get(name);
  if (report === undefined) throw new Error(`There is no record ${name}.`);
  const others = [...records].filter(([other, { against }]) => other !== name && against === null);
  const ratioIn = ({ outcomes }: Report, of: string): string => {
    const found = outcomes.find((outcome) => outcome.kind === 'paired' && outcome.name === of) as Paired | undefined;
    return found === undefined ? '' : found.result.ratio.toFixed(2);
  };
  const rows = report.outcomes.flatMap((outcome) => {
    const words = WORDS[outcome.name as PairedName];
    if (outcome.kind !== 'paired' || words === undefined) return [];
    const { unit, result, target } = outcome;
    const cells = [
      ...words,
      `${whole(result.subjectMedian)} ${unit}`,
      `${whole(result.peerMedian)} ${unit}`,
      missedIsBold(outcome, result.ratio.toFixed(2)),
      target.ratioMin?.toString() ?? '',
      result.cpuRatio.toFixed(2),
    ];
    return [[...cells, ...others.map(([, other]) => ratioIn(other, outcome.name))]];
  });
  const alone = report.outcomes.flatMap((outcome) => {
    if (outcome.kind !== 'measured') return [];
    const { what, target, result } = outcome;
    const value = missedIsBold(outcome, `${result.value.toFixed(2)} ${target.unit}`);
    return [[what, value, `${target.max} ${target.unit}`]];
  });
  const { cores, cpu, kernel, node, fio, fileSystem } = report.machine;
  return [
    `${report.date}: ${cores} cores, ${cpu}; ${fileSystemText(fileSystem)}; Linux ${kernel}, Node ${node}, ${fio ?? 'no fio'}; ${report.pairs} pairs.\n`,
    table(
      [
        'write through the queue',
        'peer',
        'ours',
        "peer's",
        'ratio',
        'target',
        'CPU',
        ...others.map(([other]) => `ratio, ${other}`),
      ],
      rows,
      2,
    ),
    '',
    table(['without a peer', 'measured', 'at most'], alone, 1),
    '',
  ].join('\n');
}
