import { expect, test } from '@jest/globals';
import { DirectorySyncs } from './directory-syncs.ts';

function waiter(): { results: number[]; directorySynced(result: number): void } {
  const results: number[] = [];
  return { results, directorySynced: (result) => results.push(result) };
}

test('one flush serves all who waited when it began, and nobody who came later', () => {
  const directory = new DirectorySyncs().of('8:1:2');
  const [first, second, late] = [waiter(), waiter(), waiter()];
  directory.join(first);
  directory.join(second);
  expect(directory.begin()).toBe(true);
  expect(directory.begin()).toBe(false);
  directory.join(late);
  expect(directory.begin()).toBe(false);
  directory.end(0);
  expect([first.results, second.results, late.results]).toEqual([[0], [0], []]);
  expect(directory.begin()).toBe(true);
  directory.end(0);
  expect(late.results).toEqual([0]);
});

test('a flush that fails fails all whom it covered', () => {
  const directory = new DirectorySyncs().of('8:1:2');
  const [first, second] = [waiter(), waiter()];
  directory.join(first);
  directory.join(second);
  directory.begin();
  directory.end(-5);
  expect([first.results, second.results]).toEqual([[-5], [-5]]);
});

test('a directory is kept while somebody waits in it, and forgotten afterwards', () => {
  const syncs = new DirectorySyncs();
  const directory = syncs.of('8:1:2');
  directory.join(waiter());
  syncs.forgetIfIdle('8:1:2');
  expect(syncs.of('8:1:2')).toBe(directory);
  directory.begin();
  directory.end(0);
  syncs.forgetIfIdle('8:1:2');
  expect(syncs.of('8:1:2')).not.toBe(directory);
});
