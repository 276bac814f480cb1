import { expect, test } from '@jest/globals';
import { Leases } from './leases.ts';
import { Signal } from '../stage.fixture.ts';

const ignore = (): void => {};

test('renews all leases in one call before they run out, and stops when they are released', async () => {
  const calls: [string[], string[]][] = [];
  const twice = new Signal();
  const leases = new Leases({
    durationMs: 90,
    extend: async (ids, tokens) => {
      calls.push([ids, tokens]);
      if (calls.length === 2) twice.give();
      return [];
    },
    onError: ignore,
  });
  const kept = [leases.keep('a', 'token-a', 0, ignore), leases.keep('b', 'token-b', 0, ignore)];
  await twice.given;
  for (const lease of kept) lease.release();
  expect(calls[0]).toEqual([
    ['a', 'b'],
    ['token-a', 'token-b'],
  ]);
  expect(kept.map(({ lost }) => lost)).toEqual([null, null]);
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(calls).toHaveLength(2);
});

test('a lease that Redis does not know is lost, others are kept', async () => {
  const leases = new Leases({ durationMs: 60, extend: async () => ['a'], onError: ignore });
  const lost = new Signal();
  const taken = leases.keep('a', 'token-a', 0, lost.give);
  const kept = leases.keep('b', 'token-b', 0, ignore);
  await lost.given;
  await taken.loss;
  expect([taken.lost, kept.lost]).toEqual(['taken', null]);
  kept.release();
});

test('a lease that cannot be renewed is lost when it runs out, counted from when it was taken', async () => {
  const begun = performance.now();
  const calls = { count: 0 };
  const leases = new Leases({
    durationMs: 300,
    extend: () => {
      calls.count += 1;
      return new Promise(ignore); // Redis is away
    },
    onError: ignore,
  });
  const lease = leases.keep('a', 'token', 150, ignore);
  await lease.loss;
  expect(lease.lost).toBe('expired');
  expect(performance.now() - begun).toBeLessThan(290);
  expect(calls.count).toBeLessThanOrEqual(1);
});

test('a renewal that fails is told, and the next one counts', async () => {
  const errors: unknown[] = [];
  const renewed = new Signal();
  let calls = 0;
  const leases = new Leases({
    durationMs: 90,
    extend: async () => {
      calls += 1;
      if (calls === 1) throw new Error('no');
      if (calls === 4) renewed.give();
      return [];
    },
    onError: (error) => errors.push(error),
  });
  const lease = leases.keep('a', 'token', 0, ignore);
  await renewed.given;
  expect([lease.lost, errors]).toEqual([null, [new Error('no')]]);
  lease.release();
});

test('a released lease cannot be lost', () => {
  const leases = new Leases({ durationMs: 1000, extend: async () => [], onError: ignore });
  let losses = 0;
  const lease = leases.keep('a', 'token', 0, () => {
    losses += 1;
  });
  lease.release();
  lease.lose('taken');
  expect([lease.lost, losses]).toEqual([null, 0]);
});

test('of several leases each is lost at its own time, also one that is kept later and runs out earlier', async () => {
  const begun = performance.now();
  const leases = new Leases({ durationMs: 400, extend: () => new Promise(ignore), onError: ignore });
  const lostAt: number[] = [];
  const fresh = leases.keep('fresh', 'token', 0, () => lostAt.push(0));
  const old = leases.keep('old', 'token', 300, () => lostAt.push(1));
  await old.loss;
  expect(performance.now() - begun).toBeLessThan(350);
  expect(fresh.lost).toBeNull();
  await fresh.loss;
  expect(lostAt).toEqual([1, 0]);
});
