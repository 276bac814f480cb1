// Makes a checkout ready: npm packages, a Redis-compatible server, libaio, compiled code; with --test also a browser and strace.
// `npm start` and `npm test` run it first. It asks for no root, installs nothing system-wide, and says nothing when all is there.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { builtState, recordBuilt } from './setup/build.mjs';
import { bundle, isBundled } from './setup/bundle.mjs';
import { exclusively } from './setup/exclusively.mjs';
import { findTools, toolsAreKnown } from './setup/native.mjs';
import { forgetPackages, packagesDiffer } from './setup/packages.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const cache = join(root, '.cache');
const wanted = new Set(process.argv.slice(2));
const tools = wanted.has('--test') ? ['redis', 'libaio', 'chromium', 'strace'] : ['redis', 'libaio'];

const say = (text) => process.stderr.write(`setup: ${text}\n`);

/** Runs a command with its output on stderr, since stdout belongs to the command that set-up prepares. */
function run(lock, title, command, args, options = {}) {
  return new Promise((resolve, reject) => {
    // The lock is inherited: should set-up be killed, the next run still waits for what it left running.
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', 2, 2, lock.fd], ...options });
    child.once('error', (error) => reject(new Error(`${command} cannot be run: ${error.message}`)));
    child.once('close', (code, signal) => {
      if (code === 0) resolve();
      else reject(new Error(`${title} failed (${signal ?? `exit code ${code}`}), see above`));
    });
  });
}

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return;
  throw new Error(`Node 20.19 or newer is needed, this is ${process.version}: https://nodejs.org/en/download`);
}

async function installPackages(lock) {
  const difference = packagesDiffer(root);
  if (difference === null) return;
  say(`npm ci (${difference})`);
  forgetPackages(root);
  // No package of ours needs its install script. Development packages are wanted even where NODE_ENV is production.
  const args = [
    'ci',
    '--include=dev',
    '--include=optional',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
    // Without a network npm is silent for minutes by default.
    '--fetch-retry-mintimeout=1000',
    '--fetch-retry-maxtimeout=10000',
  ];
  const npm = process.env.npm_execpath ?? '';
  if (npm.endsWith('npm-cli.js')) await run(lock, 'npm ci', process.execPath, [npm, ...args]);
  else await run(lock, 'npm ci', 'npm', args);
  const left = packagesDiffer(root);
  if (left !== null) throw new Error(`npm ci ended well, yet ${left}`);
}

async function build(lock) {
  const state = builtState(root);
  if (!state.current) {
    say('tsc -b');
    await run(lock, 'tsc -b', process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-b']);
    recordBuilt(root, state);
  }
  if (!isBundled(root)) await bundle(root);
}

async function prepare(lock) {
  // Each waits for downloads most of the time. Neither is left running when the other fails.
  const steps = [installPackages(lock), findTools(cache, tools, say, (...command) => run(lock, ...command))];
  for (const { reason } of await Promise.allSettled(steps)) if (reason) throw reason;
  if (wanted.has('--build')) await build(lock);
}

const isBuilt = () => builtState(root).current && isBundled(root);

const isCurrent = () =>
  packagesDiffer(root) === null && toolsAreKnown(cache, tools) && (!wanted.has('--build') || isBuilt());

try {
  checkNode();
  if (!isCurrent()) {
    await exclusively(root, prepare, () => say('waiting for another set-up of this checkout'));
  }
} catch (error) {
  say(error.message);
  if (error.code === 'EACCES' || error.code === 'EPERM')
    say('does it belong to another user? Remove node_modules, .cache and */*/dist, or give them to this one');
  process.exitCode = 1;
}
