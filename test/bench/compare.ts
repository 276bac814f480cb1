/**
 * Another commit of this repository, built in a folder of its own: `--compare <commit>`. The packages are linked from this
 * checkout where its lock file asks for the same, else npm installs them, from its cache where that has them.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type OtherBuild, builtCheckout } from './against.ts';

/** What set-up knows of this machine's tools: the other checkout need not look for them again. */
const TOOLS = '.cache/native.json';
/** Lines of a failed command that are shown. */
const LINES_MAX = 20;

export interface BuiltCommit extends OtherBuild {
  remove: () => void;
}

/** Where a command runs, and what ends it early. */
interface Where {
  cwd: string;
  signal?: AbortSignal | undefined;
}

/** Runs to the end; returns what it said. @throws (rejects) if it fails, with the end of what it said */
async function run(what: string, command: string, args: readonly string[], { cwd, signal }: Where): Promise<string> {
  const env = { ...process.env, npm_config_prefer_offline: 'true', FORCE_COLOR: '0' };
  // A group of its own: npm is ended with all that it has started.
  const child = spawn(command, args, { cwd, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  const end = (): void => {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGTERM');
  };
  signal?.addEventListener('abort', end);
  try {
    const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
    if (code === 0) return stdout.trim();
    const said = `${stdout}\n${stderr}`.trim().split('\n').slice(-LINES_MAX).join('\n');
    throw new Error(`${what}: ${signal?.aborted === true ? 'it was stopped' : said}`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error;
    throw new Error(`${what}: ${command} cannot be run: ${(error as Error).message}`, { cause: error });
  } finally {
    signal?.removeEventListener('abort', end);
  }
}

/** The commit's short name. @throws (rejects) if the repository has none such */
function shortName(commit: string, where: Where): Promise<string> {
  const what = `--compare ${commit}: there is no such commit in ${where.cwd}`;
  return run(what, 'git', ['rev-parse', '--short', '--verify', `${commit}^{commit}`], where);
}

/** Every node_modules folder that the lock file of `checkout` speaks of, and that is there. */
function packageFolders(checkout: string): string[] {
  const { packages } = JSON.parse(readFileSync(join(checkout, 'package-lock.json'), 'utf8')) as { packages: object };
  const folders = Object.keys(packages).flatMap((path) => /^(?:.*?\/)?node_modules(?=\/)/.exec(path) ?? []);
  return [...new Set(folders)].filter((folder) => existsSync(join(checkout, folder)));
}

/** Links, for set-up to compare with the lock file, and to replace where that asks for others. */
async function linkPackages(from: string, to: string, where: Where): Promise<void> {
  if (!existsSync(join(from, 'package-lock.json'))) return;
  for (const folder of packageFolders(from)) {
    // A room that the other commit does not have needs no packages.
    if (!existsSync(dirname(join(to, folder)))) continue;
    await run('the packages cannot be linked', 'cp', ['-al', join(from, folder), join(to, folder)], where);
  }
}

/**
 * Builds `commit` below `scratch`.
 * @throws (rejects) if there is no such commit, it does not build, or `signal` is given; nothing is left then
 */
export async function buildCommit(
  repository: string,
  commit: string,
  scratch: string,
  signal?: AbortSignal,
): Promise<BuiltCommit> {
  const here = { cwd: repository, signal };
  const name = await shortName(commit, here);
  mkdirSync(scratch, { recursive: true });
  const folder = mkdtempSync(join(scratch, `compare-${name}-`));
  const remove = (): void => rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  const what = `--compare ${commit}: ${name}`;
  try {
    const archive = join(folder, 'commit.tar');
    await run(`${what} cannot be read`, 'git', ['archive', '--format=tar', `--output=${archive}`, name], here);
    await run(`${what} cannot be unpacked`, 'tar', ['-xf', archive, '-C', folder], here);
    rmSync(archive);
    await linkPackages(repository, folder, here);
    if (existsSync(join(repository, TOOLS))) cpSync(join(repository, TOOLS), join(folder, TOOLS));
    await run(`${what} does not build`, 'npm', ['run', '--silent', 'build'], { cwd: folder, signal });
    return { ...builtCheckout(folder, name), remove };
  } catch (error) {
    remove();
    throw error;
  }
}
