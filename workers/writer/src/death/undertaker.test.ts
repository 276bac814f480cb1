import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';

const fixture = fileURLToPath(new URL('starved.fixture.mjs', import.meta.url));

test('where no descriptor is left for its thread the process lives, and what was ordered is done once some are', async () => {
  // Its modules are opened many at once: with 100 in all it would never come up.
  const command = 'ulimit -n 500; exec "$0" "$@"';
  const { stdout } = await promisify(execFile)('sh', ['-c', command, process.execPath, fixture], { timeout: 60_000 });
  expect(JSON.parse(stdout)).toEqual(['waits', 'waits']);
}, 90_000);
