import { mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { Profile } from '@penstock/config/tuning';
import { Cli } from '../cli.fixture.ts';
import { calibrate, profileFile, readProfile, temporary } from './calibrate.fixture.ts';

let cli: Cli;
beforeEach(() => {
  cli = new Cli();
});
afterEach(() => cli.close());

test('what is measured is kept, told in a table, and used by the next write that names no matrix', async () => {
  const temp = temporary(cli);
  const calibrated = await calibrate(cli);
  expect(calibrated).toMatchObject({ code: 0, stdout: expect.stringContaining(profileFile(cli, 'data')) });
  expect(calibrated.stderr).toMatch(/1 thread x 32 rows of 64\.00 KiB: [\d.]+ MiB\/s/);
  expect(calibrated.stdout).toMatch(/│ \* │/);
  const { winner, trials, path } = readProfile(cli, 'data');
  expect(path).toBe(join(cli.directory, 'files'));
  expect(trials).toContainEqual(expect.objectContaining(winner));
  expect([readdirSync(temp), cli.names()]).toEqual([[], []]);

  // One that nobody would choose by default tells them apart.
  const other = { ...winner, rows: 3, rowBytes: 700_416 };
  writeFileSync(profileFile(cli, 'data'), JSON.stringify({ ...readProfile(cli, 'data'), winner: other }));
  const [large, small, said] = await Promise.all([
    cli.run('write', 'large', '--size', '8MiB', '--json'),
    cli.run('write', 'small', '--size', '10000', '--json'),
    cli.run('write', 'named', '--size', '8MiB', '--rows', '2', '--row-bytes', '1MiB', '--json'),
  ]);
  const matrixOf = ({ stdout }: { stdout: string }): unknown => JSON.parse(stdout).result.matrix;
  expect(matrixOf(large)).toMatchObject({ rows: 3, rowBytes: 700_416 });
  expect(matrixOf(small)).toMatchObject({ rows: 1, rowBytes: 12_288 });
  expect(matrixOf(said)).toMatchObject({ rows: 2, rowBytes: 1_048_576 });
});

test('a named root has a profile of its own, and what a killed run left there long ago is removed', async () => {
  const root = join(cli.directory, 'captures');
  for (const name of ['old', 'new']) mkdirSync(join(root, `.penstock-calibrate-${name}`), { recursive: true });
  const hourAgo = new Date(Date.now() - 3_600_000);
  utimesSync(join(root, '.penstock-calibrate-old'), hourAgo, hourAgo);
  const { code, stdout } = await calibrate(cli, `captures=${root}`, '--json');
  expect(code).toBe(0);
  const answer = JSON.parse(stdout) as { ok: boolean; file: string; profile: Profile };
  expect(answer).toEqual({ ok: true, file: profileFile(cli, 'captures'), profile: readProfile(cli, 'captures') });
  expect(answer.profile).toMatchObject({ root: 'captures', path: root });
  expect(readdirSync(root)).toEqual(['.penstock-calibrate-new']);

  const { stdout: found } = await cli.run('doctor', '--json', '--root', `captures=${root}`);
  const { findings } = JSON.parse(found) as { findings: { what: string; found: string }[] };
  const calibrations = findings.filter(({ what }) => what.endsWith('calibration')).map(({ found: text }) => text);
  expect(calibrations).toEqual([
    expect.stringContaining('penstock calibrate data='),
    expect.stringContaining(`depth ${answer.profile.winner.depth}, ${answer.profile.winner.rows} rows of`),
  ]);
});
