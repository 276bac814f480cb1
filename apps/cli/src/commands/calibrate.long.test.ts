import { mkdirSync, readdirSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { Profile } from '@penstock/config/tuning';
import { Cli } from '../cli.fixture.ts';
import { calibrate, profileFile, readProfile } from './calibrate.fixture.ts';

let cli: Cli;
beforeEach(() => {
  cli = new Cli();
});
afterEach(() => cli.close());

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
