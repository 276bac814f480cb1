/** What the tests of this room start, and how they see that it is gone again. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { EmbeddedRedis, type EmbeddedRedisOptions } from './embedded-redis.ts';
import { installedServer } from './installed-server.fixture.ts';
import type { RedisServerBinary } from './server/binary.ts';

/** Opens, starts and makes things for one test, and puts all of it away after it. */
export class Stage {
  readonly server: RedisServerBinary = installedServer();
  readonly #opened: EmbeddedRedis[] = [];
  readonly #clients: Redis[] = [];
  readonly #processes: ChildProcess[] = [];
  readonly #directories: string[] = [];
  readonly #serverPids = new Set<number>();

  directory(): string {
    const made = mkdtempSync(join(realpathSync(tmpdir()), 'penstock-redis-'));
    this.#directories.push(made);
    return made;
  }

  async open(directory: string, more: Partial<EmbeddedRedisOptions> = {}): Promise<EmbeddedRedis> {
    const redis = await EmbeddedRedis.open({ directory, server: this.server, ...more });
    this.#opened.push(redis);
    await this.pidOf(redis.socketPath);
    return redis;
  }

  /** A client that reconnects at once and for ever, so that a command waits for the next server. */
  client(socketPath: string): Redis {
    const client = new Redis({
      path: socketPath,
      maxRetriesPerRequest: null,
      retryStrategy: () => 5,
      maxLoadingRetryTime: 5,
      disconnectTimeout: 10,
    });
    client.on('error', () => {});
    this.#clients.push(client);
    return client;
  }

  /** The process that answers at `socketPath`; the stage sees to it that it is gone in the end. */
  async pidOf(socketPath: string): Promise<number> {
    const info = await this.client(socketPath).info('server');
    const pid = Number(/process_id:(\d+)/.exec(info)?.[1]);
    this.#serverPids.add(pid);
    return pid;
  }

  /** Another process that opens it; resolves with what it reports once it has. */
  async openElsewhere(
    options: EmbeddedRedisOptions,
    o: { leave?: boolean; uid?: number } = {},
  ): Promise<{ child: ChildProcess; socketPath: string; started: boolean }> {
    const fixture = fileURLToPath(new URL('open.fixture.mjs', import.meta.url));
    const user = o.uid === undefined ? [] : [String(o.uid)];
    const stay = o.leave === true ? 'leave' : 'stay';
    const child = spawn(process.execPath, [fixture, JSON.stringify(options), stay, ...user], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#processes.push(child);
    const [line] = await Promise.race([once(child.stdout, 'data'), failOnExit(child)]);
    return { child, ...JSON.parse(String(line)) };
  }

  async clear(): Promise<void> {
    for (const client of this.#clients) client.disconnect();
    await Promise.all(this.#processes.map((child) => end(child)));
    await Promise.all(this.#opened.map((redis) => redis.close()));
    await Promise.all([...this.#serverPids].map((pid) => gone(pid)));
    for (const directory of this.#directories) rmSync(directory, { recursive: true, force: true });
  }
}

async function failOnExit(child: ChildProcess): Promise<never> {
  await once(child, 'exit');
  throw new Error('the process ended before it had opened the Redis');
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.stdin?.end();
  await once(child, 'exit');
}

/** Resolves when the process has ended. A zombie, whose parent has not waited for it, is gone too. */
export async function gone(pid: number): Promise<void> {
  const deadline = performance.now() + 5000;
  while (isAlive(pid)) {
    if (performance.now() > deadline) throw new Error(`process ${pid} is still there`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

export function isAlive(pid: number): boolean {
  const fields = statOf(pid);
  return fields !== null && fields[0] !== 'Z' && fields[0] !== 'X';
}

/** /proc/<pid>/stat from its third field on (state, parent, process group, session), or null if there is none. */
export function statOf(pid: number): string[] | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return null;
  }
}
