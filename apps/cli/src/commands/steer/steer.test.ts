/** cancel, pause, resume and limit, each a process of its own, beside a host and a watch that are others. */
import { hostname } from 'node:os';
import { afterAll, expect, test } from '@jest/globals';
import { Cli } from '../../cli.fixture.ts';

const cli = new Cli();
afterAll(() => cli.close());

const parts = (): string[] => cli.names().filter((name) => name.endsWith('.part'));

test('a running write is paused, limited, resumed and cancelled by id; its watch ends with 1 and says who and why', async () => {
  const host = cli.start('host', '--threads', '1', '--name', 'here', '--root-limit', 'data=1MiB');
  await host.says(/ready/);
  await cli.run('enqueue', 'a.bin', '--size', '256MiB', '--job-id', 'mine');
  const watch = cli.start('watch', 'mine');
  const json = cli.start('watch', 'mine', '--json');

  expect(await cli.run('pause', 'mine')).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('job mine is paused'),
  });
  await watch.says(/paused/);
  const limited = await cli.run('limit', 'mine', '512KiB/s', '--json');
  expect(JSON.parse(limited.stdout)).toEqual({ ok: true, id: 'mine', state: 'active' });
  expect(await cli.run('limit', '--host', 'here', '1.5MiB')).toMatchObject({
    code: 0,
    stdout: 'host here is limited to 1.50 MiB/s\n',
  });
  const root = await cli.run('limit', '--root', 'data', '--host', 'here', 'none', '--json');
  expect(JSON.parse(root.stdout)).toEqual({ ok: true, host: 'here', root: 'data', limit: { bytesPerSecond: 0 } });
  expect(await cli.run('resume', 'mine')).toMatchObject({ code: 0, stdout: 'job mine goes on\n' });

  expect(await cli.run('cancel', 'mine', '--why', 'a better idea')).toMatchObject({
    code: 0,
    stdout: 'job mine is being stopped by its host\n',
  });
  const message = expect.stringMatching(new RegExp(`cancelled by .+@${hostname()}: a better idea`));
  expect(await watch.ended).toMatchObject({ code: 1, stderr: message });
  const told = await json.ended;
  expect(told.code).toBe(1);
  expect(JSON.parse(told.stdout)).toMatchObject({
    ok: false,
    error: { code: 'ECANCELED', why: 'a better idea', message },
  });
  expect(parts()).toEqual([]);

  expect(await cli.run('cancel', 'mine')).toMatchObject({ code: 1, stderr: expect.stringContaining('has failed') });
  host.child.kill('SIGTERM');
  await host.ended;
});

test('what does not go together, and a job that is not there, end with 2', async () => {
  for (const args of [
    ['cancel', 'nobody'],
    ['pause', 'nobody'],
    ['limit', 'nobody', '1MiB'],
    ['limit', 'mine'],
    ['limit', 'mine', 'fast'],
    ['limit', 'mine', '1MiB', '--host', 'here'],
    ['cancel'],
    ['host', '--limit', 'fast'],
  ]) {
    const { code, stderr } = await cli.run(...args);
    expect([args.join(' '), code]).toEqual([args.join(' '), 2]);
    expect(stderr).not.toMatch(/^\s+at /m);
  }
  const host = await cli.run('host', '--root-limit', 'nowhere=1MiB');
  expect(host).toMatchObject({ code: 1, stderr: expect.stringContaining('"nowhere", which is no root') });
});
