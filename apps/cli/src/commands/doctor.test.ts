import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { Cli } from '../cli.fixture.ts';

const cli = new Cli();
afterAll(() => cli.close());

interface Report {
  ok: boolean;
  findings: { verdict: string; what: string; found: string; remedy?: string }[];
}

test('everything a host depends on is looked at, each with a verdict', async () => {
  const archive = join(cli.directory, 'archive');
  mkdirSync(archive);
  const { code, stdout } = await cli.run('doctor', '--json', '--root', `archive=${archive}:ro`);
  const report = JSON.parse(stdout) as Report;
  // What a power cut may cost is told where the disk has no journal.
  const always = report.findings.filter(({ what }) => what !== 'root data: power loss');
  expect(always.map(({ what }) => what)).toEqual([
    'kernel',
    'libaio',
    'kernel AIO',
    'huge pages',
    'root data',
    'root data: writing',
    'root data: space',
    'root data: calibration',
    'root archive',
    'root archive: partial files',
    'shared memory',
    'redis program',
    'redis',
    'redis persistence',
    'redis memory',
    'queue',
  ]);
  for (const { verdict, remedy } of report.findings) expect(remedy === undefined).toBe(verdict === 'ok');
  expect({ code, ok: report.ok }).toEqual({ code: 0, ok: true });
});

test('what fails ends with 1, with a remedy, and hides nothing else', async () => {
  const { code, stdout } = await cli.run('doctor', '--redis', 'redis://127.0.0.1:1');
  expect(code).toBe(1);
  expect(stdout).toMatch(/fail │ redis .*ECONNREFUSED/);
  expect(stdout).toContain('->');
  expect(stdout).toMatch(/ok {3}│ root data/);
  expect(stdout).toMatch(/1 failed$/m);
});
