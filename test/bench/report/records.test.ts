import { expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkoutRoot } from '../../support/system.ts';
import { outcomes, report } from './report.fixture.ts';
import { README_RECORD, merged, readRecords, renderPage, withTables } from './records.ts';

const read = (path: string): string => readFileSync(join(checkoutRoot, path), 'utf8');
/** Without what the formatter adds to tables. */
const bare = (text: string): string =>
  text
    .replaceAll(/ *\| */g, '|')
    .replaceAll(/\|:?-+:?(?=\|)/g, '|-')
    .replaceAll(/\n+/g, '\n');

test("the page of results and README's tables say what the recorded runs say", () => {
  const records = readRecords(checkoutRoot);
  expect([...records.keys()][0]).toBe(README_RECORD);
  expect(bare(read('docs/bench.md'))).toBe(bare(renderPage(records)));
  expect(bare(read('README.md'))).toBe(bare(withTables(read('README.md'), records)));
});

test('a figure that is changed by hand is found', () => {
  const records = readRecords(checkoutRoot);
  const readme = withTables(read('README.md'), records);
  const changed = readme.replace(/\| [\d,]+ MiB\/s/, '| 9,999 MiB/s');
  expect(bare(withTables(changed, records))).not.toBe(bare(changed));
  expect(bare(withTables(changed, records))).toBe(bare(readme));
});

test("README's tables have the ratios of other machines beside those of its own, and none of other builds", () => {
  const outcome = { ...outcomes[0]!, name: 'large-1m' };
  const own = { ...report, outcomes: [outcome] };
  const records = new Map([
    [README_RECORD, own],
    ['one-core', own],
    ['before', { ...own, against: 'the build of abc' }],
  ]);
  const readme = withTables('<!-- bench: x -->\n<!-- end of bench -->', records);
  expect(readme).toContain('| target | CPU | ratio, one-core |');
  expect(readme).toContain(
    '| 1 GiB, rows of 1 MiB | fio libaio direct | 1,500 MiB/s | 1,000 MiB/s | 1.50 | 1 | 0.50 | 1.50 |',
  );
  expect(() => withTables('no marks', records)).toThrow('README.md has no place');
});

test('a run of some cases takes their places in the record, if that is of the same commit', () => {
  const [first, second, third] = outcomes;
  const names = outcomes.map(({ name }) => name);
  const before = { ...report, outcomes: [first!, second!, { ...third!, name: 'gone' }] };
  const again = { ...second!, what: 'measured again' };
  const now = { ...report, outcomes: [again, third!] };
  expect(merged(before, now, names).outcomes).toEqual([first, again, third]);
  expect(merged(undefined, now, names)).toBe(now);
  expect(merged(before, report, names)).toBe(report);
  const elsewhere = { ...now, machine: { ...now.machine, commit: 'other' } };
  expect(() => merged(before, elsewhere, names)).toThrow('The record is of abc1234, this run of other');
});
