import { expect, test } from '@jest/globals';
import { verdictOn } from './outcome.ts';
import { outcomes } from './report/report.fixture.ts';
import { RATIO_MIN, readDemands } from './demands.ts';

const names = new Set(['bulk-4k', 'small-4k']);
const targets = (atLeast: string[], atMost: string[] = []) => readDemands(atLeast, atMost, names);

test('a rate is demanded of all, or of one case', () => {
  expect(targets([])('bulk-4k').ratioMin).toBe(RATIO_MIN);
  const of = targets(['0.9', 'bulk-4k=1.8']);
  expect([of('bulk-4k').ratioMin, of('small-4k').ratioMin]).toEqual([1.8, 0.9]);
});

test('other figures and the CPU are demanded of one case, beside its rate', () => {
  const of = targets([], ['small-4k:p99=0.5', 'small-4k:large=2', 'small-4k:cpu=1.1']);
  expect(of('small-4k')).toMatchObject({
    ratioMin: RATIO_MIN,
    cpuRatioMax: 1.1,
    figureRatioMax: { p99: 0.5, large: 2 },
  });
  expect(of('bulk-4k')).not.toHaveProperty('figureRatioMax');
});

test.each([
  [['fast'], [], '--at-least takes 0.97 or bulk-4k=1.8, not "fast"'],
  [['0'], [], 'not "0"'],
  [['bulk=1'], [], 'there is no bench bulk'],
  [[], ['small-4k=0.5'], '--at-most takes small-4k:p99=0.5, not "small-4k=0.5"'],
  [[], ['small:p99=0.5'], 'there is no bench small'],
])('%j and %j are refused', (atLeast, atMost, why) => expect(() => targets(atLeast, atMost)).toThrow(why));

test('a figure above its share of the peer misses the target, as does one that was not seen', () => {
  const [first] = outcomes;
  if (first?.kind !== 'paired') throw new Error('the fixture begins with a pair');
  const [ours, theirs] = [first.result.subject[0]!, first.result.peer[0]!];
  const seen = {
    ...first.result,
    subject: [{ ...ours, figures: { 'p99 ms': 20 } }],
    peer: [{ ...theirs, figures: { 'p99 ms': 40 } }],
  };
  const verdict = (figureRatioMax: Record<string, number>) =>
    verdictOn({ ...first, target: { ...first.target, figureRatioMax }, result: seen });
  expect([verdict({ p99: 0.5 }), verdict({ p99: 0.49 }), verdict({ p50: 9 })]).toEqual(['met', 'missed', 'missed']);
});
