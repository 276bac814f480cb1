/** Where a run's results go: JSON, a table and a chart of one name, which never takes the place of an earlier run's. */
import { closeSync, mkdirSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { renderChart } from './chart.ts';
import { type Report, renderTable } from './table.ts';

/** Writes <name>.json, .md and .svg into `directory`; where that name is taken, <name>-2 and so on. Returns their paths. */
export function writeResults(directory: string, wanted: string, report: Report): string[] {
  mkdirSync(directory, { recursive: true });
  const name = freeName(directory, wanted);
  const files: [string, string][] = [
    ['json', `${JSON.stringify(report, null, 2)}\n`],
    ['md', renderTable(report)],
    ['svg', renderChart(report.outcomes, `Penstock beside its peers, ${report.date}`)],
  ];
  return files.map(([extension, text]) => {
    const path = join(directory, `${name}.${extension}`);
    writeFileSync(path, text);
    return path;
  });
}

/** A name whose JSON file was not there, and now is ours. */
function freeName(directory: string, wanted: string): string {
  for (let count = 1; ; count += 1) {
    const name = count === 1 ? wanted : `${wanted}-${count}`;
    try {
      closeSync(openSync(join(directory, `${name}.json`), 'wx'));
      return name;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}
