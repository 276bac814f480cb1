import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { type Store, openStore } from '@penstock/config';
import { WriteQueue } from '@penstock/queue';
import { createPatternSource, readSource } from '@penstock/sources';
import { Cli } from '../cli.fixture.ts';

const cli = new Cli();
afterAll(() => cli.close());

const openQueue = async (): Promise<{ store: Store; queue: WriteQueue }> => {
  const store = await openStore({ kind: 'embedded', directory: cli.directory }, process.env);
  return { store, queue: new WriteQueue({ connection: store.connection }) };
};

test('writes what was asked for, with a host and a Redis of its own, and tells where it is', async () => {
  const pattern = ['--pattern', 'counter', '--seed', '9'];
  const { code, stdout, stderr } = await cli.run('write', 'a.bin', '--size', '100001', ...pattern);
  expect(stderr).not.toMatch(/penstock/);
  expect(code).toBe(0);
  expect(stdout).toContain(cli.file('a.bin'));
  expect(stdout).toMatch(/97\.66 KiB in [\d.]+ s, [\d.]+ MiB\/s/);
  const expected = Buffer.from(readSource(createPatternSource('counter', 9), 0, 100_001));
  expect(readFileSync(cli.file('a.bin')).equals(expected)).toBe(true);
});

test('directories given with --root and --from-root are roots of its host; --json prints one object', async () => {
  const archive = join(cli.directory, 'archive');
  const target = join(cli.directory, 'target');
  for (const directory of [archive, target]) mkdirSync(directory);
  writeFileSync(join(archive, 'in.dat'), 'some text of odd length');
  const roots = ['--from-root', `archive=${archive}:ro`, '--root', `target=${target}`];
  const { code, stdout } = await cli.run(
    'write',
    'out.dat',
    '--from',
    'in.dat',
    '--reflink',
    'auto',
    ...roots,
    '--json',
  );
  expect(code).toBe(0);
  expect(stdout.trim().split('\n')).toHaveLength(1);
  expect(JSON.parse(stdout)).toMatchObject({
    ok: true,
    id: expect.stringMatching(/./),
    // Which of them depends on the disk that holds the checkout.
    result: { path: 'out.dat', root: 'target', bytes: 23, copied: expect.stringMatching(/^(reflink|rows)$/) },
  });
  expect(readFileSync(join(target, 'out.dat'), 'utf8')).toBe('some text of odd length');
});

test('a write for a host of another name starts none, and says which host it waits for', async () => {
  const writing = cli.start('write', 'elsewhere.bin', '--size', '1000', '--on', 'disk-3');
  await writing.says(/the host disk-3 is not there now: .*\(penstock host --name disk-3\)/);
  const host = cli.start('host', '--name', 'disk-3', '--threads', '1');
  expect(await writing.ended).toMatchObject({ code: 0, stdout: expect.stringMatching(/^elsewhere\.bin: 1000 B/) });
  host.child.kill('SIGTERM');
  await host.ended;
});

test('a bad request ends with 2 before anything is started, and names the field', async () => {
  const fresh = new Cli();
  const [negative, outside] = await Promise.all([
    fresh.run('write', 'a.bin', '--size', '-5', '--json'),
    fresh.run('write', '/etc/passwd', '--size', '1'),
  ]);
  expect(negative.code).toBe(2);
  expect(JSON.parse(negative.stdout)).toMatchObject({ ok: false, error: { code: 'EBADREQUEST', field: 'size' } });
  expect(outside).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('--root here="$PWD"') });
  expect(existsSync(join(fresh.directory, 'redis'))).toBe(false);
  fresh.close();
});

test('what only the host can judge ends with 2 as well, and a failed write with 1', async () => {
  const host = cli.start('host', '--threads', '1');
  await host.says(/ready/);
  const [noRoot, missing] = await Promise.all([
    cli.run('write', 'a.bin', '--size', '1', '--root', 'nowhere'),
    cli.run('write', 'a.bin', '--from', 'absent.dat', '--json'),
  ]);
  expect(noRoot).toMatchObject({ code: 2, stderr: expect.stringContaining('data') });
  expect(missing.code).toBe(1);
  expect(JSON.parse(missing.stdout)).toMatchObject({ ok: false, error: { code: 'ENOENT', retryable: false } });
  host.child.kill('SIGTERM');
  expect((await host.ended).code).toBe(0);
});

test('Ctrl-C leaves: the write goes back to the queue, and only what its next attempt can go on with stays on the disk', async () => {
  // One page at a time: nobody waits to the end of it.
  const write = cli.start('write', 'slow.bin', '--size', '2GiB', '--rows', '1', '--row-bytes', '4096');
  await write.says(/slow\.bin {2}\d+%/); // it is being written
  write.child.kill('SIGINT');
  const { code, stderr } = await write.ended;
  expect(code).toBe(130);
  const [, id = ''] = /penstock watch (\S+)/.exec(stderr) ?? [];
  expect(cli.names()).not.toContain('slow.bin');
  expect(cli.names().filter((name) => name.endsWith('.part')).length).toBeLessThanOrEqual(1);
  const { store, queue } = await openQueue();
  const job = await queue.job(id);
  expect(await job?.getState()).toBe('waiting');
  expect(job?.attemptsMade).toBe(0);
  await job?.remove();
  await queue.close();
  await store.close();
});

test('with --redis it starts no host and says so where none is; a Redis that is not there is told without its password', async () => {
  const { store, queue } = await openQueue();
  const url = 'socketPath' in store.connection ? `unix://${encodeURI(store.connection.socketPath)}` : '';
  const write = cli.start('write', 'later.bin', '--size', '1', '--redis', url);
  const absent = cli.run('write', 'a.bin', '--size', '1', '--redis', 'redis://:secret@127.0.0.1:1');
  await write.says(/no host serves this queue/);
  await write.says(/waiting in the queue/);
  write.child.kill('SIGINT');
  const { code, stderr } = await write.ended;
  expect(code).toBe(130);
  expect(stderr).toContain('goes on without this command');
  await queue.close();
  await store.close();

  const refused = await absent;
  expect(refused).toMatchObject({ code: 1, stderr: expect.stringMatching(/127\.0\.0\.1:1.*ECONNREFUSED/) });
  expect(refused.stderr).not.toContain('secret');
});
