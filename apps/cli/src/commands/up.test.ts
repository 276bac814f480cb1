import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
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
  expect(await health.json()).toEqual({ status: 'ok' });
  // The link that it printed, and one that another terminal asks for; each opens the dashboard once.
  const [, link = ''] = await up.says(/open once within 10 minutes: (\S+)/);
  const another = await cli.run('link');
  expect(another).toMatchObject({ code: 0, stderr: 'penstock: good once, for 10 minutes\n' });
  const file = join(cli.directory, 'dashboard', `127.0.0.1_${port}.json`);
  expect([statSync(file).mode & 0o777, statSync(dirname(file)).mode & 0o777]).toEqual([0o600, 0o700]);
  expect((await fetch(url)).status).toBe(401);
  for (const given of [link, another.stdout.trim()]) {
    const opened = await fetch(given);
    const [cookie = ''] = opened.headers.getSetCookie();
    expect([opened.status, (await fetch(given)).status]).toEqual([200, 401]);
    expect((await fetch(url, { headers: { cookie: cookie.split(';')[0]! } })).status).toBe(200);
  }
  const [written, second] = await Promise.all([
    cli.run('write', 'a.bin', '--size', '4KiB'),
    cli.run('up', '--port', port, '--threads', '1', '--name', 'another'),
  ]);
  // Another command finds the host that runs here; another dashboard finds its port taken, and another host its name.
  expect(written).toMatchObject({ code: 0, stdout: expect.stringMatching(/^a\.bin: /) });
  expect(second).toMatchObject({ code: 1, stderr: expect.stringContaining(`127.0.0.1:${port}`) });
  const twin = await cli.run('up', '--port', '0', '--threads', '1');
  expect(twin).toMatchObject({ code: 1, stderr: expect.stringContaining(`process ${childOf(up, 'host')} on machine`) });
  // As a terminal does that is closed: to all of them at once.
  for (const pid of [childOf(up, 'host'), childOf(up, 'gateway'), up.child.pid!]) process.kill(pid, 'SIGHUP');
  expect(await up.ended).toMatchObject({ code: 0, stderr: expect.stringContaining('stopping') });
  expect(existsSync(file)).toBe(false);
  expect(await cli.run('link')).toMatchObject({ code: 1, stderr: expect.stringContaining('no dashboard runs') });
});

test('when one of them dies, all of it ends, with an error that says which', async () => {
  const up = cli.start('up', '--port', '0', '--threads', '1');
  await up.says(/dashboard: /);
  process.kill(childOf(up, 'host'), 'SIGKILL');
  const { code, stderr } = await up.ended;
  expect(code).toBe(1);
  expect(stderr).toContain('the host ended unexpectedly (killed by SIGKILL)');
});
