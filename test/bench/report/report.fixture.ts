/** A made-up run for the tests of what is written of one: a target met, one missed, one shown, one measured, one skipped. */
import type { Outcome, Paired } from '../outcome.ts';
import type { Report } from './table.ts';
import type { Sample } from '../pairs.ts';

const sample = (rate: number, cpuSeconds: number, figures: Record<string, number> = {}): Sample => ({
  rate,
  processes: [{ name: 'host', cpuSeconds, peakRssBytes: 120 * 2 ** 20 }],
  figures,
});

function paired(name: string, ratio: number, target: Paired['target'], figures: Record<string, number> = {}): Paired {
  return {
    kind: 'paired',
    name,
    what: `what ${name} does`,
    peer: 'a | peer',
    unit: 'MiB/s',
    target,
    result: {
      subject: [sample(1000 * ratio, 0.5, figures)],
      peer: [sample(1000, 1)],
      peerIndex: 0,
      subjectMedian: 1000 * ratio,
      peerMedian: 1000,
      ratio,
      cpuRatio: 0.5,
    },
  };
}

export const outcomes: Outcome[] = [
  paired('met-case', 1.5, { promise: 'fast', ratioMin: 1, cpuRatioMax: null }),
  paired('cpu-missed-case', 2, { promise: 'cheap', ratioMin: 1.7, cpuRatioMax: 0.25 }),
  paired('shown-case', 0.4, { promise: 'seen', ratioMin: null, cpuRatioMax: null }, { 'p99 ms': 41 }),
  {
    kind: 'measured',
    name: 'measured-case',
    what: 'what is measured',
    target: { promise: 'small', max: 10, unit: 'ms' },
    result: { value: 12.5, processes: [], figures: {} },
  },
  {
    kind: 'unmeasured',
    verdict: 'skipped',
    name: 'skipped-case',
    what: 'what is skipped',
    reason: 'fio is not installed',
  },
];

export const report: Report = {
  against: null,
  date: '2026-01-31',
  machine: {
    cpu: 'A CPU',
    cores: 2,
    memoryGiB: 8,
    kernel: '6.18.0',
    node: 'v20.20.2',
    redis: '7.0.15',
    fio: null,
    fileSystem: { type: 'ext4', device: '/dev/vda', options: 'rw', journal: null, queue: { scheduler: '[none]' } },
    loadAverage: 0.1,
    commit: 'abc1234',
  },
  pairs: 5,
  smoke: false,
  outcomes,
};
