import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { Profile } from '@penstock/config/tuning';
import { Cli } from '../cli.fixture.ts';
import { profileFile, temporary } from './calibrate.fixture.ts';

let cli: Cli;
beforeEach(() => {
  cli = new Cli();
});
afterEach(() => cli.close());

test('Ctrl-C ends it with 130, without a profile and without a trace', async () => {
  const temp = temporary(cli);
  const running = cli.start('calibrate');
  await running.says(/MiB\/s/);
  expect(cli.names()).toEqual([expect.stringMatching(/^\.penstock-calibrate-/)]);
  running.child.kill('SIGINT');
  expect(await running.ended).toMatchObject({ code: 130, stdout: '' });
  expect([readdirSync(temp), cli.names(), existsSync(profileFile(cli, 'data'))]).toEqual([[], [], false]);
});

test('a profile of another disk is told of and not used, with what to do about it', async () => {
  const profile: Profile = {
    version: 1,
    root: 'data',
    path: join(cli.directory, 'files'),
    device: { number: '999:7', fileSystem: 'ext4', tags: 256 },
    kernel: '6.1.0',
    measuredAt: new Date().toISOString(),
    winner: { threads: 1, depth: 3, rows: 3, rowBytes: 700_416 },
    trials: [],
  };
  mkdirSync(join(cli.directory, 'calibration'));
  writeFileSync(profileFile(cli, 'data'), JSON.stringify(profile));
  const { code, stdout, stderr } = await cli.run('write', 'a', '--size', '64MiB', '--json');
  expect(code).toBe(0);
  expect(JSON.parse(stdout).result.matrix).toMatchObject({ rows: 32, rowBytes: 1_048_576 });
  expect(stderr).toMatch(/was calibrated on ext4 on device 999:7 and is now .*penstock calibrate data=/);
});

test('a root that cannot be measured ends with 2 and says how to name one', async () => {
  const [unknown, path, readOnly] = await Promise.all([
    cli.run('calibrate', 'captures'),
    cli.run('calibrate', '/srv/captures'),
    cli.run('calibrate', `archive=${cli.directory}:ro`),
  ]);
  expect(unknown).toMatchObject({ code: 2, stderr: expect.stringContaining('captures=/some/directory') });
  expect(path).toMatchObject({ code: 2, stderr: expect.stringContaining('name=/srv/captures') });
  expect(readOnly).toMatchObject({ code: 2, stderr: expect.stringContaining('reading only') });
  expect(readdirSync(cli.directory)).toEqual([]);
});
