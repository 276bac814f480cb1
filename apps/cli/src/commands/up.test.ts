import { readFileSync, readdirSync } from 'node:fs';
import { afterAll, expect, test } from '@jest/globals';
import { Cli, type Running } from '../cli.fixture.ts';

const cli = new Cli();
afterAll(() => cli.close());

/** The process of an app that `running` started. */
function childOf(running: Running, app: string): number {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const found = pids.find((pid) => {
    try {
      const isChild =
        readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ')[1] === String(running.child.pid);
      return isChild && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(`/${app}/dist/main.js`);
    } catch {
      return false; // ended meanwhile
    }
  });
  return Number(found);
}

test('Redis, host and dashboard come up, do their work, and go down in order', async () => {
  const up = cli.start('up', '--port', '0', '--threads', '1');
  const [, url = '', port = ''] = await up.says(/dashboard: (http:\/\/127\.0\.0\.1:(\d+)\/queues)/);
  const health = await fetch(new URL('/healthz', url));
  expect(await health.json()).toMatchObject({ status: 'ok', workers: 1 });
  const [written, second] = await Promise.all([
    cli.run('write', 'a.bin', '--size', '4KiB'),
    cli.run('up', '--port', port, '--threads', '1'),
  ]);
  // Another command finds the host that runs here; another dashboard finds its port taken.
  expect(written).toMatchObject({ code: 0, stdout: expect.stringMatching(/^a\.bin: /) });
  expect(second).toMatchObject({ code: 1, stderr: expect.stringContaining(`127.0.0.1:${port}`) });
  up.child.kill('SIGTERM');
  expect(await up.ended).toMatchObject({ code: 0, stderr: expect.stringContaining('stopping') });
});

test('when one of them dies, all of it ends, with an error that says which', async () => {
  const up = cli.start('up', '--port', '0', '--threads', '1');
  await up.says(/dashboard: /);
  process.kill(childOf(up, 'host'), 'SIGKILL');
  const { code, stderr } = await up.ended;
  expect(code).toBe(1);
  expect(stderr).toContain('the host ended unexpectedly (killed by SIGKILL)');
});
