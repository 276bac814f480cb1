/** For tests: a whole Penstock in a directory of its own. The real Redis, hosts as processes, the real disk. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { Queue, QueueEvents, type Job, type JobsOptions } from 'bullmq';
import { Redis } from 'ioredis';
import { EmbeddedRedis } from '@penstock/redis';
import { installedServer } from '@penstock/redis/installed-server';

// Compiled code of the bench lies one level deeper, below dist.
export const checkoutRoot: string = fileURLToPath(
  new URL(import.meta.url.includes('/test/dist/') ? '../../../' : '../../', import.meta.url),
);

/** The programs of a built checkout. */
export interface Build {
  host: string;
  cli: string;
}

export const buildIn = (checkout: string): Build => ({
  host: join(checkout, 'apps/host/dist/main.js'),
  cli: join(checkout, 'apps/cli/dist/main.js'),
});

const ownBuild = buildIn(checkoutRoot);
export const hostEntry: string = ownBuild.host;
export const cliEntry: string = ownBuild.cli;
/** Where everything that is made here lies, on the checkout's own disk. */
export const scratch: string = join(checkoutRoot, '.cache/scratch');
const nativeFile = join(checkoutRoot, '.cache/native.json');

/** A program that set-up found, with its environment; null if it is not to be had on this machine. */
export function foundProgram(name: 'strace' | 'chromium'): { bin: string; env: Record<string, string> } | null {
  if (!existsSync(nativeFile)) return null;
  const record = JSON.parse(readFileSync(nativeFile, 'utf8')) as Record<
    string,
    { bin: string; env?: Record<string, string> }
  >;
  const found = record[name];
  return found === undefined ? null : { bin: found.bin, env: found.env ?? {} };
}

let homes = scratch;

/** Has every home from now on made below `directory`, on another disk for instance. */
export function makeHomesIn(directory: string): void {
  homes = directory;
}

/** Where homes are made. */
export function homesDirectory(): string {
  mkdirSync(homes, { recursive: true });
  return homes;
}

/** A fresh directory, on the checkout's own disk by default. */
export function makeHome(): string {
  return mkdtempSync(join(homesDirectory(), 'e2e-'));
}

/** Removes a home that is used no more. */
let leaveHome = (home: string): void => rmSync(home, { recursive: true, force: true });

/**
 * From now on homes are left to `leave`, which empties them or not, and removed when the function is called that this
 * returns.
 */
export function keepHomes(leave: (home: string) => void): () => void {
  const remove = leaveHome;
  const kept: string[] = [];
  leaveHome = (home) => {
    kept.push(home);
    leave(home);
  };
  return () => {
    leaveHome = remove;
    for (const home of kept) remove(home);
  };
}

export interface HostProcess {
  child: ChildProcess;
  /** What it said on stderr so far. */
  said(): string;
  /** Sends the signal and waits for the end; resolves with the exit code or the signal's name. */
  end(signal?: NodeJS.Signals): Promise<number | string>;
}

export class System {
  readonly home: string;
  /** The directory of the root "data". */
  readonly data: string;
  /** Whose hosts these are, and whose commands are to be used beside them. */
  readonly build: Build;
  readonly redis: EmbeddedRedis;
  readonly queue: Queue;
  readonly events: QueueEvents;
  /** What close() undoes, the last first, once no host holds it open any more: mounts, for the most part. */
  readonly undo: (() => void)[] = [];
  readonly #hosts: HostProcess[] = [];

  private constructor(home: string, data: string, build: Build, redis: EmbeddedRedis) {
    this.home = home;
    this.data = data;
    this.build = build;
    this.redis = redis;
    const connection = { path: redis.socketPath };
    this.queue = new Queue('penstock', { connection });
    this.events = new QueueEvents('penstock', { connection });
    // Redis is killed on purpose in some tests: the clients reconnect, and what they say meanwhile is expected.
    this.queue.on('error', () => {});
    // Each wait for a job's end listens to both, and some tests wait for hundreds at once.
    this.queue.setMaxListeners(0);
    this.events.setMaxListeners(0);
    this.events.on('error', () => {});
  }

  static async open(build: Build = ownBuild): Promise<System> {
    const home = makeHome();
    const data = join(home, 'data');
    mkdirSync(data);
    const redis = await EmbeddedRedis.open({ directory: join(home, 'redis'), server: installedServer() });
    const system = new System(home, data, build, redis);
    await system.events.waitUntilReady();
    return system;
  }

  /** A host process that is ready for jobs; `args` are its own options, `data` is the directory of its root "data". */
  async host(
    args: string[] = [],
    wrapper: string[] = [],
    env: Record<string, string> = {},
    data: string = this.data,
  ): Promise<HostProcess> {
    const command = [
      ...wrapper,
      process.execPath,
      this.build.host,
      '--redis',
      `unix://${this.redis.socketPath}`,
      '--data',
      this.home,
      '--root',
      `data=${data}`,
      ...args,
    ];
    const child = spawn(command[0]!, command.slice(1), {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      env: { ...process.env, ...env },
    });
    let said = '';
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    const exited = once(child, 'exit') as Promise<[number | null, string | null]>;
    const ended = async (): Promise<number | string> => {
      const [code, signal] = await exited;
      return code ?? signal ?? 'unknown';
    };
    const host: HostProcess = {
      child,
      said: () => said,
      end(signal = 'SIGTERM') {
        if (child.exitCode === null && child.signalCode === null) child.kill(signal);
        return ended();
      },
    };
    this.#hosts.push(host);
    const [first] = (await Promise.race([once(child, 'message'), exited])) as [unknown];
    if ((first as { ready?: boolean } | null)?.ready !== true) throw new Error(`the host did not start:\n${said}`);
    return host;
  }

  add(data: unknown, options: JobsOptions = {}): Promise<Job> {
    return this.queue.add('write', data, options);
  }

  /** Waits for the job's end, whatever it is. */
  async finished(job: Job, timeoutMs = 60_000): Promise<Job> {
    await job.waitUntilFinished(this.events, timeoutMs).catch(() => {});
    const end = await this.queue.getJob(job.id!);
    if (end?.finishedOn === undefined) throw new Error(`job ${job.id} is not over: ${await end?.getState()}`);
    return end;
  }

  /** Resolves with the first progress of `job` that `test` accepts. @throws when the job ends without any */
  progressOf(job: Job, test: (progress: Record<string, number>) => boolean): Promise<Record<string, number>> {
    return new Promise((resolve, reject) => {
      const over = (): void => {
        this.events.off('progress', listen).off('completed', ended).off('failed', ended);
      };
      const look = (data: unknown): void => {
        if (typeof data !== 'object' || !test(data as Record<string, number>)) return;
        over();
        resolve(data as Record<string, number>);
      };
      const listen = ({ jobId, data }: { jobId: string; data: unknown }): void => {
        if (jobId === job.id) look(data);
      };
      const ended = ({ jobId }: { jobId: string }): void => {
        if (jobId !== job.id) return;
        over();
        reject(new Error(`job ${jobId} ended before it was seen as it was to be`));
      };
      this.events.on('progress', listen).on('completed', ended).on('failed', ended);
      // What was reported before this began to listen.
      void this.queue.getJob(job.id!).then((now) => look(now?.progress), reject);
    });
  }

  async redisPid(): Promise<number> {
    const client = new Redis(this.redis.socketPath);
    try {
      return Number(/process_id:(\d+)/.exec(await client.info('server'))?.[1]);
    } finally {
      client.disconnect();
    }
  }

  /** Removes a file of the data root. */
  remove(name: string): void {
    rmSync(this.path(name), { force: true });
  }

  path(name: string): string {
    return join(this.data, name);
  }

  /** Names below the data root, temporary ones included. */
  names(): string[] {
    return readdirSync(this.data, { recursive: true, encoding: 'utf8' }).toSorted();
  }

  /** Ends the hosts that still run: what they hold open can be unmounted afterwards. */
  async hostsGone(): Promise<void> {
    await Promise.all(this.#hosts.map((host) => host.end('SIGKILL')));
  }

  async close(): Promise<void> {
    await this.hostsGone();
    for (const step of this.undo.splice(0).toReversed()) step();
    await this.events.close();
    await this.queue.close();
    await this.redis.close();
    leaveHome(this.home);
  }
}

export async function sha256File(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash);
  return hash.digest('hex');
}
