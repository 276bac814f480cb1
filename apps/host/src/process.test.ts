// The host as a process: what it does if the one that started it is gone before it is ready.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from '@jest/globals';

const program = fileURLToPath(new URL('../dist/main.js', import.meta.url));
// The checkout's disk: the temporary directory is often memory, where direct I/O proves nothing.
const scratch = fileURLToPath(new URL('../../../.cache/scratch/', import.meta.url));

let directory: string;
beforeEach(() => {
  mkdirSync(scratch, { recursive: true });
  directory = mkdtempSync(join(scratch, 'host-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

test('a host whose starter is gone before it is ready stops in good order', async () => {
  const host = spawn(process.execPath, [program, '--data', directory], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
  host.disconnect();
  // Not 'close': that does not come if the channel was closed from here.
  const [said, end] = await Promise.all([text(host.stderr!), once(host, 'exit')]);
  expect(end).toEqual([0, null]);
  expect(said).toMatch(/stopping: the command that started it ends\n$/);
}, 60_000);
