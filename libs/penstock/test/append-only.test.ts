// Streams into append-only files (chattr +a), as logs are kept: each byte once, behind the end, however it goes out.
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { statSync, writeFileSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Bench, bytesFor } from '../src/bench.fixture.ts';

let bench: Bench;
let isSet = false;
beforeEach(() => {
  bench = new Bench();
});
afterEach(async () => {
  if (isSet) spawnSync('chattr', ['-a', bench.path('log')]);
  expect(await bench.clear()).toEqual([]);
});

const chattr = (flag: string, path: string): boolean => spawnSync('chattr', [flag, path]).status === 0;

function keepsFlags(): boolean {
  const probe = new Bench();
  writeFileSync(probe.path('probe'), '');
  const keeps = chattr('+a', probe.path('probe')) && chattr('-a', probe.path('probe'));
  void probe.clear();
  return keeps;
}
const withFlags = process.getuid?.() === 0 && keepsFlags() ? test : test.skip;

withFlags.each(['a', 'as'])('lines and large writes through flags %s stand in the file once', async (flags) => {
  writeFileSync(bench.path('log'), 'begin\n');
  isSet = chattr('+a', bench.path('log'));
  const writer = await bench.open({ threads: 1 });
  const stream = writer.createWriteStream(bench.path('log'), { flags });
  const chunks: Buffer[] = [Buffer.from('begin\n')];
  const put = (chunk: Buffer): void => {
    chunks.push(chunk);
    stream.write(chunk);
  };
  for (let round = 0; round < 6; round += 1) {
    put(Buffer.from(`line ${round}\n`));
    await stream.flush();
    expect(statSync(bench.path('log')).size).toBe(Buffer.concat(chunks).length);
    put(Buffer.from(bytesFor(1_048_576 * (round % 3) + 17 * round)));
    put(Buffer.from('rest of it\n'));
  }
  while (statSync(bench.path('log')).size < Buffer.concat(chunks).length) await setImmediate();
  put(Buffer.from('the end'));
  stream.end();
  await once(stream, 'close');
  expect(Buffer.compare(bench.read('log'), Buffer.concat(chunks))).toBe(0);
});
