// `npm test`: types, lint, format and every project's quick tests through nx, then the count of the tests, also when some
// fail. Further arguments go to nx: `npm test -- --skip-nx-cache` runs again what has not changed, and
// `npm test -- -p @penstock/aio` runs the tests of that room alone.
// `npm run test:long`: the long tests through Jest, to which further arguments go, with the same count at the end.
// `node config/test.mjs --total <what else failed>...`: the count of both together, of what has just been run.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LONG_RESULTS, forgetResults, report } from './report.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const MINUTE_MS = 60_000;
/** After SIGTERM: what does not end by then is killed. */
const GRACE_MS = 10_000;
/** The same after Ctrl-C, when somebody waits for it. */
const GRACE_OF_ASKED_MS = 1000;

/** Longer than a good run ever takes: a test file that never ends must not keep the count of the others. */
const LIMIT_MINUTES = { quick: 17, long: 25 };

const COMMANDS = {
  quick: ['node_modules/.bin/nx', 'run-many', '-t', 'build', 'lint', 'test'],
  long: [
    '--experimental-vm-modules',
    '--disable-warning=ExperimentalWarning',
    'node_modules/jest/bin/jest.js',
    '-c',
    'config/jest.long.config.mjs',
    '--rootDir',
    '.',
    '--passWithNoTests',
  ],
};

const env = {
  ...process.env,
  // Else nx tells every program to colour what it prints, which tests read.
  FORCE_COLOR: '0',
  // Else nx leaves its sockets and a copy of its binary in the machine's temporary folder.
  NX_ISOLATE_PLUGINS: 'false',
  NX_SKIP_NATIVE_FILE_CACHE: 'true',
};

/** The process and all below it, those that start others first. */
function treeOf(pid) {
  try {
    const threads = readdirSync(`/proc/${pid}/task`);
    const children = threads.flatMap((thread) =>
      readFileSync(`/proc/${pid}/task/${thread}/children`, 'latin1').split(' ').filter(Boolean),
    );
    return [pid, ...children.flatMap((child) => treeOf(Number(child)))];
  } catch {
    return []; // it has ended meanwhile
  }
}

/** When the process was started: another one has its number by then, if that is another time. */
function startOf(pid) {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').at(-1).split(' ')[19];
  } catch {
    return null;
  }
}

/**
 * Ends a run with all that it started: nx gives the tests of each project a process group of its own, where no Ctrl-C
 * comes, and Jest goes on with the next file when one is ended. Returns what ends the rest without waiting.
 */
function end(child, graceMs) {
  const begun = treeOf(child.pid).map((pid) => ({ pid, start: startOf(pid) }));
  child.kill('SIGTERM');
  const killRest = () => {
    clearTimeout(grace);
    const left = begun.filter(({ pid, start }) => start !== null && startOf(pid) === start);
    for (const pid of new Set(left.flatMap((one) => treeOf(one.pid)))) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // it has ended meanwhile
      }
    }
  };
  const grace = setTimeout(killRest, graceMs);
  return killRest;
}

/** Runs the tests; true if all ended well within the limit, and nobody ended them. */
async function runTests(run, args) {
  const runEnv = run === 'long' ? { ...env, JEST_RESULTS_FILE: join(root, LONG_RESULTS) } : env;
  const child = spawn(process.execPath, [...COMMANDS[run], ...args], { cwd: root, env: runEnv, stdio: 'inherit' });
  const minutes = Number(process.env.TEST_MINUTES_MAX ?? LIMIT_MINUTES[run]);
  let killRest = null;
  const endOnce = (why, graceMs) => {
    if (killRest !== null) return;
    process.stdout.write(`ended ${why}\n`);
    killRest = end(child, graceMs);
  };
  const limit = setTimeout(endOnce, minutes * MINUTE_MS, `after ${minutes} minutes (TEST_MINUTES_MAX)`, GRACE_MS);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
    process.on(signal, () => endOnce(`by ${signal}`, GRACE_OF_ASKED_MS));
  const [code] = await once(child, 'close');
  clearTimeout(limit);
  killRest?.();
  return code === 0 && killRest === null;
}

/** Whether Jest runs the long test file `path` with these arguments. */
function askedFor(args) {
  const { stdout } = spawnSync(process.execPath, [...COMMANDS.long, ...args, '--listTests'], {
    cwd: root,
    encoding: 'utf8',
  });
  const listed = stdout.split('\n');
  return (path) => listed.some((name) => name.endsWith(`/${path}`));
}

const [option, ...rest] = process.argv.slice(2);
let good = true;
let result;
if (option === '--total') {
  result = report(root, { runs: ['quick', 'long'], all: true, alsoFailed: rest });
} else {
  const run = option === '--long' ? 'long' : 'quick';
  const args = run === 'long' ? rest : process.argv.slice(2);
  // A result of an earlier run must not pass for this one's; nx restores those of unchanged projects from its cache.
  forgetResults(root, run);
  good = await runTests(run, args);
  const all = run === 'long' || !args.some((arg) => /^(-p|--projects?|--exclude)\b/.test(arg));
  const asked = run === 'long' && args.length > 0 ? askedFor(args) : undefined;
  const ran = { runs: [run], all, asked };
  result = report(root, ran);
  // As lint, or a test file that left something running.
  if (!good && result.good) result = report(root, { ...ran, alsoFailed: ['the run, beside its tests: see above'] });
}
process.stdout.write(`\n${result.lines.join('\n')}\n`);
process.exitCode = good && result.good ? 0 : 1;
