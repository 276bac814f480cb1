/** For tests: what a calibration is run with, and where it leaves its profile. */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Profile } from '@penstock/config/tuning';
import type { Cli, Ended } from '../cli.fixture.ts';

export const profileFile = (cli: Cli, name: string): string => join(cli.directory, 'calibration', `${name}.json`);
export const readProfile = (cli: Cli, name: string): Profile =>
  JSON.parse(readFileSync(profileFile(cli, name), 'utf8')) as Profile;

/** The command's private queue lies in a temporary directory of this test's own. */
export function temporary(cli: Cli): string {
  const path = join(cli.directory, 'tmp');
  mkdirSync(path);
  cli.env['TMPDIR'] = path;
  return path;
}

/** Calibrates for as long as this machine, busy as it is, takes for one trial at least. */
export async function calibrate(cli: Cli, ...args: string[]): Promise<Ended> {
  for (let seconds = 4; ; seconds *= 3) {
    const ended = await cli.run('calibrate', ...args, '--seconds', String(seconds));
    if (seconds > 60 || !`${ended.stdout}${ended.stderr}`.includes('not one trial ended')) return ended;
  }
}
