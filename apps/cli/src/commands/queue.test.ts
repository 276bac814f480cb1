/** enqueue, watch and host together: what one puts in, another carries out and a third sees. */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { Cli } from '../cli.fixture.ts';

const cli = new Cli();
afterAll(() => cli.close());

test('a write that is enqueued while no host runs is carried out by the first that does, and can be watched', async () => {
  const enqueued = await cli.run('enqueue', 'a.bin', '--size', '1MiB', '--pattern', 'stamp', '--job-id', 'mine');
  expect(enqueued).toMatchObject({ code: 0, stdout: 'mine\n', stderr: expect.stringContaining('penstock host') });

  const watch = cli.start('watch', 'mine', '--json');
  await watch.says(/no host serves/);
  const host = cli.start('host', '--threads', '1');
  const watched = await watch.ended;
  expect(watched.code).toBe(0);
  expect(JSON.parse(watched.stdout)).toMatchObject({ ok: true, id: 'mine', result: { bytes: 1_048_576 } });
  expect(existsSync(cli.file('a.bin'))).toBe(true);

  const again = await cli.run('watch', 'mine');
  expect(again).toMatchObject({ code: 0, stdout: expect.stringMatching(/^a\.bin: 1\.00 MiB in/) });

  host.child.kill('SIGTERM');
  const stopped = await host.ended;
  expect(stopped).toMatchObject({ code: 0, stderr: expect.stringContaining('stopping') });
});

test('the queue is limited, shown and full by the command line', async () => {
  expect(await cli.run('capacity')).toMatchObject({ code: 0, stdout: expect.stringMatching(/^no limit;/) });
  const set = await cli.run('capacity', '1MiB', '--when-full', 'reject');
  expect(set.stdout).toMatch(/^\S+ \S+ of 1\.00 MiB in use by \d+ jobs?; what does not fit is refused\n$/);
  const full = await cli.run('enqueue', 'c.bin', '--size', '2MiB', '--on', 'disk-3');
  expect(full).toMatchObject({ code: 1, stderr: expect.stringContaining('The queue is full: 2.00 MiB asked') });
  expect(await cli.run('capacity', 'none', '--json')).toMatchObject({
    stdout: expect.stringContaining('"bytes":null'),
  });
  const enqueued = await cli.run('enqueue', 'c.bin', '--size', '1KiB', '--on', 'disk-3');
  expect(enqueued).toMatchObject({ stdout: expect.stringMatching(/^\w+@disk-3\n$/) });
  expect(enqueued.stderr).toContain('penstock host --name disk-3');
  expect(await cli.run('enqueue', 'd.bin', '--size', '1', '--on', 'a:b')).toMatchObject({ code: 2 });
});

test('a whole request may come as JSON: as text, from a file, from standard input', async () => {
  const request = { path: 'b.bin', size: '1KiB' };
  const file = join(cli.directory, 'request.json');
  writeFileSync(file, JSON.stringify(request));
  const piped = cli.start('enqueue', '--request', '-');
  piped.child.stdin?.end(JSON.stringify(request));
  const all = await Promise.all([
    cli.run('enqueue', '--request', JSON.stringify(request)),
    cli.run('enqueue', '--request', `@${file}`),
    piped.ended,
  ]);
  for (const { code, stdout } of all) {
    expect(code).toBe(0);
    expect(stdout).toMatch(/^\w+\n$/);
  }
});

test('a bulk of standard input is written by one job, and its watcher is told which files failed', async () => {
  const host = cli.start('host', '--threads', '1');
  await host.says(/ready/);
  const enqueue = async (request: object): Promise<string> => {
    const piped = cli.start('enqueue', '--request', '-');
    piped.child.stdin?.end(JSON.stringify(request));
    return (await piped.ended).stdout.trim();
  };
  const files = Array.from({ length: 30 }, (_, index) => ({ path: `bulk/${index}` }));
  const good = await cli.run('watch', await enqueue({ size: '4KiB', files }));
  expect(good).toMatchObject({ code: 0, stdout: expect.stringMatching(/^30 of 30 files written: 120\.00 KiB in /) });

  const again = await enqueue({ size: 1, mode: 'create', files: [...files.slice(0, 12), { path: 'bulk/new' }] });
  const bad = await cli.run('watch', again);
  expect(bad.code).toBe(1);
  expect(bad.stdout).toMatch(
    /^1 of 13 files written: .*\n(failed: bulk\/\d+: EEXIST.*\n){10}and 2 more failed: --json/,
  );
  const json = await cli.run('watch', again, '--json');
  expect(json.code).toBe(1);
  expect(JSON.parse(json.stdout)).toMatchObject({ ok: false, id: again, result: { files: 13, failed: 12 } });
  host.child.kill('SIGTERM');
  await host.ended;
});

test('what cannot be enqueued or watched ends with 2 and says why', async () => {
  const cases: [args: string[], reason: RegExp][] = [
    [['enqueue', '--request', '{"path":"a","sise":1}'], /did you mean "size"/],
    [['enqueue', '--request', '{'], /not JSON/],
    [['enqueue', '--request', '{}'], /path: missing/],
    [['enqueue', '--request', '{"files":[{"path":"/a","size":1}]}'], /files\.0\.path: "\/a"[^]*hint: .*--root here/],
    [['enqueue'], /name the file to write/],
    [['enqueue', 'a.bin', '--request', '{}'], /give it alone/],
    [['watch', 'nobody'], /no job 'nobody'/],
  ];
  const ended = await Promise.all(cases.map(([args]) => cli.run(...args)));
  for (const [index, [, reason]] of cases.entries()) {
    expect(ended[index]).toMatchObject({ code: 2, stdout: '', stderr: expect.stringMatching(reason) });
  }
});
