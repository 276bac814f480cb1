/**
 * The runs that the repository keeps, docs/bench/<name>.json, one of each kind of machine, and what is written of them:
 * the page docs/bench.md, a chart each, and README's tables. No figure of theirs is typed by hand.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Outcome } from '../outcome.ts';
import { renderChart } from './chart.ts';
import { readmeText } from './readme.ts';
import { METHOD, type Report, renderReport } from './table.ts';

/** The machine that README speaks of; the page begins with it. */
export const README_RECORD = 'two-cores';

const README = 'README.md';
const PAGE = 'docs/bench.md';
const RECORDS = 'docs/bench';
const BEGIN = /<!-- bench: [^>]* -->\n/;
const END = '<!-- end of bench -->';
/** More digits than anybody reads, and far fewer than a float has. */
const DIGITS = 6;

export type Records = ReadonlyMap<string, Report>;

/** By name, README's first. */
export function readRecords(checkout: string): Records {
  const folder = join(checkout, RECORDS);
  const names = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.json')) : [];
  const ordered = names
    .map((name) => basename(name, '.json'))
    .toSorted(
      (one, other) => Number(other === README_RECORD) - Number(one === README_RECORD) || (one < other ? -1 : 1),
    );
  return new Map(
    ordered.map((name) => [name, JSON.parse(readFileSync(join(folder, `${name}.json`), 'utf8')) as Report]),
  );
}

/** The run as it is kept: of some cases only, they take the place of those in the run that is there. @throws if that is of another commit */
export function merged(before: Report | undefined, now: Report, all: readonly string[]): Report {
  const isWhole = all.every((name) => now.outcomes.some((outcome) => outcome.name === name));
  if (isWhole || before === undefined) return now;
  const { commit } = before.machine;
  if (commit !== now.machine.commit || before.against !== now.against) {
    throw new Error(
      `The record is of ${commit}, this run of ${now.machine.commit}: record all cases, or another name.`,
    );
  }
  const fresh = new Map<string, Outcome>(now.outcomes.map((outcome) => [outcome.name, outcome]));
  const kept = before.outcomes.filter(({ name }) => !fresh.has(name) && all.includes(name));
  const order = (outcome: Outcome): number => all.indexOf(outcome.name);
  return { ...now, outcomes: [...kept, ...fresh.values()].toSorted((one, other) => order(one) - order(other)) };
}

const round = (_: string, value: unknown): unknown =>
  typeof value === 'number' ? Number(value.toPrecision(DIGITS)) : value;

/** Keeps the run under this name. */
export function writeRecord(checkout: string, name: string, report: Report): void {
  mkdirSync(join(checkout, RECORDS), { recursive: true });
  writeFileSync(join(checkout, RECORDS, `${name}.json`), `${JSON.stringify(report, round, 1)}\n`);
}

/** The page of all records. */
export function renderPage(records: Records): string {
  const sections = [...records].map(([name, report]) =>
    renderReport(report, { title: name, suffix: ` of ${name}`, level: 2 }),
  );
  const intro = `${METHOD} \`npm run bench -- --record <name>\` writes a section, from docs/bench/<name>.json.`;
  return [`# Penstock's bench\n`, `${intro}\n`, ...sections].join('\n');
}

/** README with its tables written anew. @throws if the marks of their place are gone */
export function withTables(readme: string, records: Records): string {
  const begin = BEGIN.exec(readme);
  const end = readme.indexOf(END);
  if (begin === null || end < begin.index) throw new Error(`${README} has no place for the bench's tables.`);
  return `${readme.slice(0, begin.index)}${begin[0]}\n${readmeText(records, README_RECORD)}\n${readme.slice(end)}`;
}

/** Writes the page, the charts and README's tables, as the records are; returns what was written. */
export function writeDocuments(checkout: string): string[] {
  const records = readRecords(checkout);
  const files: [string, string][] = [
    [PAGE, renderPage(records)],
    [README, withTables(readFileSync(join(checkout, README), 'utf8'), records)],
    ...[...records].map(([name, { outcomes, date }]): [string, string] => [
      `${RECORDS}/${name}.svg`,
      renderChart(outcomes, `Penstock beside its peers: ${name}, ${date}`),
    ]),
  ];
  for (const [path, text] of files) writeFileSync(join(checkout, path), text);
  execFileSync(join(checkout, 'node_modules/.bin/oxfmt'), [PAGE, README], { cwd: checkout });
  return files.map(([path]) => path);
}
