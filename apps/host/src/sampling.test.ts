import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import type { WriteProgress } from '@penstock/contract';
import { Control } from '@penstock/matrix';
import type { WriteJobInfo } from '@penstock/queue';
import type { DevicePools } from '@penstock/writer';
import type { HostLimits } from './limits.ts';
import { Sampling } from './sampling.ts';

const SAMPLE_MS = 500;
const control = new Control(1, 2);
let sampling: Sampling;

beforeEach(() => {
  jest.useFakeTimers();
  sampling = new Sampling({
    pool: { rowBudgetBytes: 0, watch() {}, rates: { refresh() {} } } as unknown as DevicePools,
    limits: { effective: () => 0 } as unknown as HostLimits,
    host: 'h',
    lockDurationMs: 30_000,
  });
  sampling.start();
});

afterEach(() => {
  sampling.close();
  jest.useRealTimers();
});

/** A write that begins now, and what is reported of it. */
function begin(slot: number) {
  const reports: WriteProgress[] = [];
  const job = { lockLeftMs: 1 } as WriteJobInfo;
  const write = sampling.add('main', job, control.job(slot), (progress) => void reports.push(progress));
  const end = (): void => {
    sampling.reportEnd(write);
    sampling.remove(write);
  };
  return { write, reports, end };
}

test('a write that has just begun when samples are taken, and ends soon, costs the queue no report', async () => {
  await jest.advanceTimersByTimeAsync(SAMPLE_MS - 100);
  const { reports, end } = begin(0);
  await jest.advanceTimersByTimeAsync(200);
  end();
  expect(reports).toEqual([]);
});

test('a write is reported within 750 ms, then twice a second, and at its end', async () => {
  await jest.advanceTimersByTimeAsync(SAMPLE_MS - 249);
  const { reports, end } = begin(0);
  await jest.advanceTimersByTimeAsync(750);
  expect(reports).toHaveLength(1);
  await jest.advanceTimersByTimeAsync(2 * SAMPLE_MS);
  expect(reports).toHaveLength(3);
  end();
  expect(reports).toHaveLength(4);
});

test('a write that has just begun is reported at once after an order', async () => {
  await jest.advanceTimersByTimeAsync(SAMPLE_MS - 100);
  const { write, reports } = begin(0);
  sampling.sampleSoon(write);
  await jest.advanceTimersByTimeAsync(50);
  expect(reports).toHaveLength(1);
});
