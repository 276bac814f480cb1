import { expect, test } from '@jest/globals';
import { Histograms, Latencies } from './latencies.ts';

test('one iocb is reported as it is, several by their percentiles, and none as zeros', () => {
  const histograms = new Histograms();
  const latencies = new Latencies(histograms);
  expect(latencies.summary()).toEqual({ count: 0, p50: 0, p90: 0, p99: 0, max: 0 });
  latencies.record(0.25, 4096);
  expect(latencies.summary()).toEqual({ count: 1, p50: 250, p90: 250, p99: 250, max: 250 });
  for (let index = 0; index < 8; index += 1) latencies.record(0.1, 4096);
  latencies.record(90, 4096);
  expect(latencies.summary()).toMatchObject({ count: 10, p50: 100, p90: 250 });
  expect(latencies.summary().max / 90_000).toBeCloseTo(1, 1);
  latencies.end();
});

test('a histogram is used again empty', () => {
  const histograms = new Histograms();
  const first = new Latencies(histograms);
  first.record(1, 4096);
  first.record(2, 4096);
  first.end();
  const second = new Latencies(histograms);
  second.record(5, 4096);
  second.record(5, 4096);
  expect(second.summary().count).toBe(2);
});
