// The README's words are run, not believed.
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { createPatternSource, readSource } from '@penstock/sources';
import { System } from '../support/system.ts';

const readme = readFileSync(fileURLToPath(new URL('../../README.md', import.meta.url)), 'utf8');

let system: System;
beforeEach(async () => {
  system = await System.open();
});
afterEach(() => system.close());

test("the README's ten lines of a service that knows only BullMQ enqueue a write and see its result", async () => {
  const code = [...readme.matchAll(/```js\n(.*?)```/gs)]
    .map((match) => match[1]!)
    .find((block) => block.includes('new Queue('));
  const connection = "{ host: '127.0.0.1', port: 6379 }";
  expect(code).toContain(connection);
  // Only the address is another: the embedded Redis listens on a socket.
  const script = join(system.home, 'service.mjs');
  writeFileSync(script, code!.replace(connection, JSON.stringify({ path: system.redis.socketPath })));
  await system.host(['--threads', '1']);
  const { stdout } = await promisify(execFile)(process.execPath, [script], {
    env: { ...process.env, FORCE_COLOR: '0' },
  });
  expect(stdout).toContain('bytes: 1073741824');
  const start = readFileSync(system.path('captures/run-42.dat')).subarray(0, 1_048_576);
  expect(Buffer.compare(start, readSource(createPatternSource('stamp', 7), 0, 1_048_576))).toBe(0);
});
