import { expect, test } from '@jest/globals';
import { FlushGroups } from './flush-groups.ts';

function waiter(): { results: number[]; flushed(result: number): void } {
  const results: number[] = [];
  return { results, flushed: (result) => results.push(result) };
}

test('one flush serves all who waited when it began, and nobody who came later', () => {
  const group = new FlushGroups().of('8:1');
  const [first, second, late] = [waiter(), waiter(), waiter()];
  group.join(first, 11);
  group.join(second, 12);
  expect(group.begin()).toBe(12); // the last to be renamed in: the journal is committed as far as that
  expect(group.begin()).toBe(-1);
  group.join(late, 13);
  expect(group.begin()).toBe(-1);
  group.end(0);
  expect([first.results, second.results, late.results]).toEqual([[0], [0], []]);
  expect(group.begin()).toBe(13);
  group.end(0);
  expect(late.results).toEqual([0]);
});

test('a flush that fails fails all whom it covered', () => {
  const group = new FlushGroups().of('8:1');
  const [first, second] = [waiter(), waiter()];
  group.join(first, 11);
  group.join(second, 11);
  group.begin();
  group.end(-5);
  expect([first.results, second.results]).toEqual([[-5], [-5]]);
});

test('a group is kept while somebody waits in it, and forgotten afterwards', () => {
  const groups = new FlushGroups();
  const group = groups.of('8:1');
  group.join(waiter(), 11);
  groups.forgetIfIdle('8:1');
  expect(groups.of('8:1')).toBe(group);
  group.begin();
  group.end(0);
  groups.forgetIfIdle('8:1');
  expect(groups.of('8:1')).not.toBe(group);
});
