// `npm test`: types, lint, format and every project's tests through nx, then the count of the tests, also when some fail.
// Further arguments go to nx: `npm test -- --skip-nx-cache` runs again what has not changed, and
// `npm test -- -p @penstock/aio` runs the tests of that room alone.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { forgetResults, report } from './report.mjs';

/** Longer than a good run ever takes: a test file that never ends must not keep the count of the others. */
const LIMIT_MS = 20 * 60 * 1000;

const root = fileURLToPath(new URL('..', import.meta.url));

// A result of an earlier run must not pass for this one's; nx restores those of unchanged projects from its cache.
forgetResults(root);
const args = process.argv.slice(2);
const nx = [join(root, 'node_modules/.bin/nx'), 'run-many', '-t', 'build', 'lint', 'test', ...args];
const env = {
  ...process.env,
  // Else nx tells every program to colour what it prints, which tests read.
  FORCE_COLOR: '0',
  // Else nx leaves its sockets and a copy of its binary in the machine's temporary folder.
  NX_ISOLATE_PLUGINS: 'false',
  NX_SKIP_NATIVE_FILE_CACHE: 'true',
};
const begun = Date.now();
const [code] = await once(
  spawn(process.execPath, nx, { cwd: root, env, stdio: 'inherit', timeout: LIMIT_MS }),
  'close',
);
const { lines, good } = report(root, { all: !args.some((arg) => /^(-p|--projects?)\b/.test(arg)) });
if (Date.now() - begun >= LIMIT_MS) lines.unshift(`ended after ${LIMIT_MS / 60_000} minutes`);
process.stdout.write(`\n${lines.join('\n')}\n`);
process.exitCode = code === 0 && good ? 0 : 1;
