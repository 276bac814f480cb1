import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { createPatternSource, readSource } from '@penstock/sources';
import { Cli } from '../cli.fixture.ts';

const cli = new Cli();
afterAll(() => cli.close());

const stamped = Buffer.from(readSource(createPatternSource('stamp', 7), 0, 10_000));

function fileOf(name: string, bytes: Uint8Array): string {
  const path = join(cli.directory, name);
  writeFileSync(path, bytes);
  return path;
}

test('a file as it should be ends with 0, its bytes and its hash', async () => {
  const path = fileOf('good', stamped);
  const { code, stdout } = await cli.run('verify', path, '--pattern', 'stamp', '--seed', '7', '--size', '10000');
  expect(code).toBe(0);
  expect(stdout).toContain('10000 bytes');
  expect(stdout).toContain(createHash('sha256').update(stamped).digest('hex'));
});

test('another seed, another size, another byte end with 1 and say what is different', async () => {
  const path = fileOf('good', stamped);
  const spoiled = Buffer.from(stamped);
  spoiled[5000] = spoiled[5000] === 0 ? 1 : 0;
  const [seed, size, byte] = await Promise.all([
    cli.run('verify', path, '--pattern', 'stamp', '--seed', '8'),
    cli.run('verify', path, '--pattern', 'stamp', '--seed', '7', '--size', '10001'),
    cli.run('verify', fileOf('spoiled', spoiled), '--pattern', 'stamp', '--seed', '7', '--json'),
  ]);
  expect(seed).toMatchObject({ code: 1, stdout: expect.stringContaining('block of offset 0, seed 7') });
  expect(size).toMatchObject({ code: 1, stdout: expect.stringContaining('10000 bytes, 10001 were expected') });
  expect(byte.code).toBe(1);
  expect(JSON.parse(byte.stdout)).toMatchObject({ ok: false, mismatch: { kind: 'content', position: 5000 } });
});

test('two files are compared', async () => {
  const path = fileOf('good', stamped);
  const [same, differs] = await Promise.all([
    cli.run('verify', path, '--against', fileOf('twin', stamped)),
    cli.run('verify', path, '--against', fileOf('short', stamped.subarray(0, 9000))),
  ]);
  expect(same).toMatchObject({ code: 0, stdout: expect.stringContaining('every byte') });
  expect(differs).toMatchObject({ code: 1, stdout: expect.stringContaining('9000 were expected') });
});

test('what cannot be verified is told', async () => {
  const path = fileOf('good', stamped);
  const [nothing, beyond, missing] = await Promise.all([
    cli.run('verify', path),
    cli.run('verify', path, '--pattern', 'stamp', '--offset', '1MiB'),
    cli.run('verify', join(cli.directory, 'absent'), '--pattern', 'zero'),
  ]);
  expect(nothing).toMatchObject({ code: 2, stderr: expect.stringContaining('--against') });
  expect(beyond).toMatchObject({ code: 2, stderr: expect.stringContaining('beyond') });
  expect(missing).toMatchObject({ code: 1, stderr: expect.stringContaining('absent') });
});
