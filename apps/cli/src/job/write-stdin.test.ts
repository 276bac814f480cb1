import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { createPatternSource, readSource } from '@penstock/sources';
import { Cli, type Ended, program } from '../cli.fixture.ts';

const cli = new Cli();
afterAll(() => cli.close());

const bytesFor = (size: number): Buffer => Buffer.from(readSource(createPatternSource('random', size), 0, size));
const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

/** Runs the command with `input` as its standard input. */
function feed(input: Buffer | string, ...args: string[]): Promise<Ended> {
  const running = cli.start(...args);
  running.child.stdin!.end(input);
  return running.ended;
}

test('standard input becomes the file, at sizes of all kinds, with no Redis and no host', async () => {
  for (const size of [0, 1, 4097, 9_000_001]) {
    const bytes = bytesFor(size);
    const { code, stdout, stderr } = await feed(bytes, 'write', 'in/x', '--from', '-');
    // Nothing but its progress, which is drawn where a write takes long.
    expect({ size, code, complaint: /penstock|error/i.exec(stderr) }).toEqual({ size, code: 0, complaint: null });
    expect(stdout).toContain(cli.file('in/x'));
    expect(sha256(readFileSync(cli.file('in/x')))).toBe(sha256(bytes));
  }
  expect(existsSync(join(cli.directory, 'redis'))).toBe(false);
});

test('the options of a write hold: a root of its own, a size, a mode, and --json', async () => {
  const target = join(cli.directory, 'target');
  mkdirSync(target);
  const args = ['write', 'x.dat', '--from', '-', '--root', `here=${target}`, '--mode', 'create', '--json'];
  const made = await feed('some text', ...args, '--size', '9');
  expect(JSON.parse(made.stdout)).toMatchObject({ ok: true, result: { path: 'x.dat', root: 'here', bytes: 9 } });
  expect(readFileSync(join(target, 'x.dat'), 'utf8')).toBe('some text');
  const again = await feed('other', ...args);
  expect(again.code).toBe(1);
  expect(JSON.parse(again.stdout)).toMatchObject({ ok: false, error: { code: 'EEXIST' } });
  const short = await feed('other', 'write', 'y', '--from', '-', '--size', '9');
  expect(short).toMatchObject({ code: 2, stderr: expect.stringContaining('size') });
  expect(existsSync(cli.file('y'))).toBe(false);
});

test('what cannot be read is an error, and not an empty file in the place of what stood there', async () => {
  await feed('kept', 'write', 'kept', '--from', '-');
  const directory = openSync(cli.directory, 'r');
  const args = [program, 'write', 'kept', '--from', '-'];
  const ended = spawnSync(process.execPath, args, {
    env: cli.env,
    stdio: [directory, 'pipe', 'pipe'],
    encoding: 'utf8',
  });
  closeSync(directory);
  expect(ended).toMatchObject({ status: 1, stderr: expect.stringContaining('EISDIR') });
  expect(readFileSync(cli.file('kept'), 'utf8')).toBe('kept');
});

test('what speaks of a queue, a host or a copy is refused beside it, by name', async () => {
  const refused = await feed('', 'write', 'x', '--from', '-', '--redis', 'redis://nowhere', '--on', 'disk-3');
  expect(refused).toMatchObject({ code: 2, stderr: expect.stringMatching(/--redis, --on: not with --from -/) });
  const pattern = await feed('', 'write', 'x', '--from', '-', '--pattern', 'zero');
  expect(pattern.code).toBe(2);
  const root = await feed('', 'write', 'x', '--from', '-', '--root', 'captures');
  expect(root).toMatchObject({ code: 2, stderr: expect.stringContaining('captures=/srv/captures') });
  const outside = await feed('', 'write', '../x', '--from', '-');
  expect(outside.code).toBe(2);
  const queued = await feed('', 'enqueue', 'x', '--from', '-');
  expect(queued).toMatchObject({ code: 2, stderr: expect.stringContaining('cannot wait in a queue') });
});

test('Ctrl-C leaves no file, and a producer that dies is the end of the input', async () => {
  const interrupted = cli.start('write', 'half', '--from', '-');
  interrupted.child.stdin!.write(bytesFor(3_000_000));
  // Every byte is in the rows, or in the pipe, when the write has called back.
  await new Promise((resolve) => {
    interrupted.child.stdin!.write('more', resolve);
  });
  interrupted.child.kill('SIGINT');
  expect(await interrupted.ended).toMatchObject({ code: 130, stderr: expect.stringContaining('SIGINT') });
  expect(existsSync(cli.file('half'))).toBe(false);
  const cut = cli.start('write', 'cut', '--from', '-');
  cut.child.stdin!.write('so far');
  cut.child.stdin!.end();
  expect((await cut.ended).code).toBe(0);
  expect(readFileSync(cli.file('cut'), 'utf8')).toBe('so far');
});
