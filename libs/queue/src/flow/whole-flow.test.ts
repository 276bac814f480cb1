import { expect, test } from '@jest/globals';
import type { ManifestSource } from '@penstock/contract';
import { type Children, faultOfFlow, inOrder } from './whole-flow.ts';

const declared = (shards: ManifestSource['shards'], onShardFailure: 'fail' | 'list' = 'fail'): ManifestSource => ({
  kind: 'manifest',
  shards,
  onShardFailure,
});

const children = (results: Record<string, unknown>, more: Partial<Children> = {}): Children => ({
  results: new Map(Object.entries(results)),
  failures: new Map(),
  unfinished: [],
  ...more,
});

const file = { path: 'a', bytes: 1 };
const bulk = { files: 3, failed: 1, items: [{ path: 'a', bytes: 1 }] };

test('a bulk of which files failed fails the manifest unless it is to list them', () => {
  const seen = children({ one: bulk });
  expect(faultOfFlow(declared(1), seen)?.message).toBe('A shard wrote 2 of its 3 files, job one.');
  expect(faultOfFlow(declared(1, 'list'), seen)).toBeNull();
});

test.each([[null], ['done'], [{}], [{ items: [] }], [undefined]])(
  'a child that returned %j has written nothing that we know of',
  (result) => {
    const seen = children({ one: result, two: file });
    expect(faultOfFlow(declared(2, 'list'), seen)?.message).toBe('What job one returned is not the result of a write.');
  },
);

test('where failures are listed a shard that has not ended is still one too few', () => {
  const seen = children({ one: file }, { unfinished: ['two'], failures: new Map([['three', 'EIO']]) });
  expect(faultOfFlow(declared(['one', 'two', 'three'], 'list'), seen)?.message).toMatch(/job two is not done yet/);
});

test('many missing shards are named by the first of them, without what a terminal would obey', () => {
  const ids = Array.from({ length: 10 }, (_, index) => `${index}\u001b[31m`);
  const { message } = faultOfFlow(declared(['x', ...ids]), children({ x: file }))!;
  expect(message).toContain(String.raw`job 0\u{1b}[31m, job 1\u{1b}[31m, job 2\u{1b}[31m and 7 more are not there`);
});

test('numbered ids are counted, not spelled', () => {
  const ids = ['s-10', 's-9@disk-3', 's-1'];
  const seen = children(Object.fromEntries(ids.map((id) => [id, file])));
  expect(inOrder(declared(3), seen)).toEqual(['s-1', 's-9@disk-3', 's-10']);
});

test('what their numbers or paths do not decide their ids do, whatever order the queue gives them in', () => {
  const long = ['s-90071992547409931', 's-90071992547409932', 's-90071992547409933'];
  const alike = ['one', 'three', 'two'];
  for (const ids of [long, ['s-01', 's-1', 's-001'].toSorted(), alike]) {
    const backwards = children(Object.fromEntries(ids.toReversed().map((id) => [id, file])));
    expect(inOrder(declared(3), backwards)).toEqual(ids);
  }
});

test('an id of very many digits does not hold up the host', () => {
  const id = `${'1'.repeat(200_000)}x`;
  const begunAt = performance.now();
  expect(inOrder(declared(1), children({ [id]: file }))).toEqual([id]);
  expect(performance.now() - begunAt).toBeLessThan(1000); // it took 40 s
});
