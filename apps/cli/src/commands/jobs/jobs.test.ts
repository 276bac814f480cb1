// The commands of operators on jobs: what a failed one was, why it failed, and that it is tried again.
import { mkdirSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { openStore, type Store } from '@penstock/config';
import { Cli, type Running } from '../../cli.fixture.ts';

const cli = new Cli();
let store: Store;
let host: Running;
beforeAll(async () => {
  store = await openStore({ kind: 'embedded', directory: cli.directory }, process.env);
  host = cli.start('host', '--name', 'disk-1');
  await host.says(/ready/);
}, 60_000);
afterAll(async () => {
  host.child.kill('SIGTERM');
  await host.ended;
  await store.close();
  cli.close();
});

test('a job that failed is found, understood, tried again and removed by what the commands print', async () => {
  const enqueued = await cli.run(
    'enqueue',
    'copy.bin',
    '--from',
    'there-not-yet.bin',
    '--from-root',
    'data',
    '--attempts',
    '1',
  );
  const id = enqueued.stdout.trim();
  expect(await cli.run('watch', id)).toMatchObject({ code: 1 });
  const listed = await cli.run('ls', '--state', 'failed', '--since', '1h');
  expect(listed.stdout).toMatch(new RegExp(`${id} │ failed │ disk-1 │ data:copy.bin │ \\d{4}-.*ENOENT`));
  const shown = await cli.run('show', id);
  expect(shown.stdout).toMatch(new RegExp(`^${id}: failed\n {2}file +data:copy.bin\n {2}host +disk-1\n`));
  expect(shown.stdout).toMatch(/error +ENOENT: .*there-not-yet.bin.*check the spelling/);
  const logs = await cli.run('logs', id);
  expect(logs.stdout).toMatch(/attempt 1 on disk-1 failed: ENOENT/);
  mkdirSync(cli.file('.'), { recursive: true });
  writeFileSync(cli.file('there-not-yet.bin'), 'now it is');
  expect(await cli.run('retry', '--all-failed', '--root', 'data')).toMatchObject({
    code: 0,
    stdout: `job ${id} is in line again\n`,
  });
  expect(await cli.run('watch', id)).toMatchObject({ code: 0 });
  const [job] = (await cli.run('ls', '--host', 'disk-1', '--json')).stdout.trim().split('\n');
  expect(JSON.parse(job!)).toMatchObject({ id, state: 'completed', host: 'disk-1', path: 'copy.bin', error: null });
  expect(await cli.run('rm', id)).toMatchObject({ code: 0, stdout: `job ${id} is removed\n` });
  const gone: unknown = JSON.parse((await cli.run('show', id, '--json')).stdout);
  expect(gone).toMatchObject({ ok: false, error: { code: 'ENOJOB' } });
  const later = (await cli.run('enqueue', 'later.bin', '--size', '4KiB', '--delay', '3600000')).stdout.trim();
  expect(await cli.run('rm', id, later)).toMatchObject({ code: 2, stdout: `job ${later} is removed\n` });
  expect(await cli.run('show', id)).toMatchObject({
    code: 2,
    stderr: expect.stringContaining(`There is no job '${id}'`),
  });
}, 120_000);

test('a list is cut where it is said to be, states and ages are judged, and old jobs are cleaned away', async () => {
  for (const name of ['a', 'b']) await cli.run('write', name, '--size', '4KiB');
  expect(await cli.run('ls', '--limit', '1')).toMatchObject({
    code: 0,
    stderr: expect.stringContaining('there are more: --limit shows more than 1'),
  });
  expect(await cli.run('ls', '--state', 'broken')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('Give one of active, waiting'),
  });
  expect(await cli.run('ls', '--since', 'yesterday')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('a duration like 90s'),
  });
  expect(await cli.run('retry')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('Give a job, or --all-failed'),
  });
  expect(await cli.run('clean', '--older-than', '1h')).toMatchObject({ code: 0, stdout: '0 jobs removed\n' });
  expect(await cli.run('clean', '--older-than', '0')).toMatchObject({ code: 0, stdout: '2 jobs removed\n' });
  expect(await cli.run('ls')).toMatchObject({ code: 0, stdout: '', stderr: 'penstock: no jobs\n' });
}, 120_000);
