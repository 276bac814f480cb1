// The Redis of a data directory: found or started, watched, started again, and ended with its last user.
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  openSync,
  readSync,
  realpathSync,
  rmdirSync,
  statSync,
} from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { toWire } from '@penstock/contract';
import type { RedisServerBinary } from './server/binary.ts';
import { diedOfSpace, lackOfSpace } from './directory/space.ts';
import { RedisStartError, remedyOf } from './errors/redis-start-error.ts';
import { launch, logFileOf, type RunningServer } from './server/launch.ts';
import { probe } from './server/probe.ts';
import { makePrivateDirectory, makePrivateTemporaryDirectory, socketPathOf } from './directory/socket-path.ts';
import { Use } from './directory/users.ts';

export interface EmbeddedRedisOptions {
  /** The data directory; the server keeps its files in `redis/` below it, which is made if need be. */
  directory: string;
  server: RedisServerBinary;
  /** `always` (the default): nothing is acknowledged before it is on the disk. `everysec`: up to two seconds may be lost. Whoever starts the server decides. */
  appendfsync?: 'always' | 'everysec';
  /** How long a server may stay mute before `open` rejects, in milliseconds; 10,000 unless given. Loading does not count. */
  answerMsMax?: number;
  /** Told each time the server is gone and could not be started again yet; it is tried for ever. */
  onError?: (error: Error) => void;
}

const answerMsDefault = 10_000;
/** Reading a large append-only file takes minutes; that it goes on can be seen, so it is waited for. */
const loadMsMax = 600_000;
/** A healthy server answers PING in well under a millisecond; a busy one in some tens. */
const probeMsMax = 1000;
/** Between two looks while a server starts: ready is noticed within this time. */
const lookEveryMs = 3;
/** Between two tries for the lock while another process has it: a try costs a process. */
const lockEveryMs = 15;
/** The last write has to reach the disk; then there is nothing left to wait for. */
const stopMsMax = 10_000;
/**
 * How long the end of a process is awaited whose connections are closed: in another container its number may be in use.
 */
const lastGaspMsMax = 500;
/** Between two looks at a full disk. */
const spaceEveryMs = 500;
/** A server of ours that exits within this time of its start has failed again; later, for the first time. */
const soonMs = 5000;
const restartMsMin = 100;
const restartMsMax = 2000;
const logTailBytes = 2000;

/**
 * The Redis of one data directory, shared by every penstock process that uses it.
 *
 * Whoever comes first starts it; every process that has it open looks after it. When it dies, by whatever cause, the
 * first to notice starts it again on the same append-only file. It lasts as long as anybody has it open, whoever
 * started it, and ends with the last of them, however that ends.
 */
export class EmbeddedRedis {
  /** Where it listens; the same for every process, and for every server that follows a dead one. */
  readonly socketPath: string;

  readonly #directory: string;
  readonly #options: EmbeddedRedisOptions;
  readonly #use: Use;
  /** The server this process started, until its end was seen. */
  #server: RunningServer | null = null;
  /** Servers of ours that exited unasked, one soon after the other. */
  #exits = 0;
  /** A silent connection: its end is the news that the server is gone. */
  #link: Socket | null = null;
  #recovery: Promise<void> | null = null;
  #closed: Promise<void> | null = null;
  readonly #closing = new AbortController();

  private constructor(o: EmbeddedRedisOptions, directory: string, socketPath: string) {
    this.#options = o;
    this.#directory = directory;
    this.socketPath = socketPath;
    this.#use = Use.take(directory);
  }

  /**
   * Starts the server, or joins the one that runs. Resolves when it answers (10 to 30 ms for a start, 1 to join).
   * Rejects with RedisStartError if the program or the directory cannot be used, or if it does not answer in time.
   */
  static async open(o: EmbeddedRedisOptions): Promise<EmbeddedRedis> {
    const userId = process.getuid?.() ?? 0;
    const wanted = join(o.directory, 'redis');
    makePrivateDirectory(wanted, userId);
    // Two names of one directory must give one socket.
    const directory = realpathSync(wanted);
    const redis = new EmbeddedRedis(o, directory, socketPathOf(directory, realpathSync(tmpdir())));
    try {
      await redis.#ensure();
      return redis;
    } catch (error) {
      await redis.close(); // it may have started a server before it failed
      throw error;
    }
  }

  /** Whether the server that runs now was started by this process. */
  get started(): boolean {
    return this.#server !== null;
  }

  /**
   * Lets go of it. The server is stopped, in order, if nobody else has it open; resolves when it is gone then. Never
   * rejects; may be called twice.
   */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#closing.abort();
    await this.#recovery;
    const server = this.#server;
    const isLast = this.#use.release();
    if (server !== null && (isLast || server.endsWithUs)) {
      await stop(server, this.#link ?? (await linkTo(server, this.socketPath)));
      this.#removeSocketDirectory();
    } else if (isLast) {
      // Another process may have started it while this one waited for its turn.
      const link = this.#link ?? (await this.#linkOfOthers());
      if (link !== null) await stopOrphan(link);
      this.#removeSocketDirectory();
    }
    this.#link?.destroy();
    this.#link = null;
  }

  async #linkOfOthers(): Promise<Socket | null> {
    const found = await probe(this.socketPath, probeMsMax);
    return found.state === 'ready' ? found.link : null;
  }

  /** Comes back when there is a server that answers, and the link to it stands; or when this is being closed. */
  async #ensure(): Promise<void> {
    const deadline = new Deadline(this.#options.answerMsMax ?? answerMsDefault);
    let tried: RunningServer | null = null;
    while (!this.#closing.signal.aborted) {
      const found = await probe(this.socketPath, Math.min(probeMsMax, deadline.leftMs()));
      if (found.state === 'ready') {
        this.#watch(found.link);
        return;
      }
      if (found.state === 'foreign') throw this.#foreign(found.reply);
      if (found.state === 'loading') deadline.loading();
      if (tried?.ended != null) {
        // Whoever closed last may have removed the socket's directory between our making it and the server's bind.
        if (existsSync(dirname(this.socketPath))) throw await this.#failed(tried);
        tried = null;
      }
      if (deadline.leftMs() === 0) throw await this.#mute(found.state);

      if (found.state === 'absent' && tried === null) {
        tried = await this.#start();
        if (tried === null) await this.#pause(lockEveryMs);
      } else {
        await this.#pause(lookEveryMs);
      }
    }
  }

  async #start(): Promise<RunningServer | null> {
    requireProgram(this.#options.server.bin);
    this.#makeSocketDirectory();
    const server = await launch({
      directory: this.#directory,
      socketPath: this.socketPath,
      users: this.#use.path,
      server: this.#options.server,
      appendfsync: this.#options.appendfsync ?? 'always',
    });
    if (server === null) return null;
    this.#server = server;
    void this.#forgetAtEnd(server);
    return server;
  }

  #makeSocketDirectory(): void {
    const directory = dirname(this.socketPath);
    if (directory !== this.#directory) makePrivateTemporaryDirectory(directory, process.getuid?.() ?? 0);
  }

  #removeSocketDirectory(): void {
    const directory = dirname(this.socketPath);
    if (directory === this.#directory) return;
    try {
      rmdirSync(directory);
    } catch {
      // the next server's socket is in it already
    }
  }

  async #forgetAtEnd(server: RunningServer): Promise<void> {
    const begun = performance.now();
    const how = await server.end;
    // One that was killed is none the worse for it.
    const isSick = how.startsWith('exited') && !this.#closing.signal.aborted;
    this.#exits = isSick ? (performance.now() - begun < soonMs ? this.#exits + 1 : 1) : 0;
    if (this.#server === server) this.#server = null;
  }

  #watch(link: Socket): void {
    this.#link = link;
    link.on('close', () => {
      if (this.#link === link) this.#link = null;
      if (!this.#closing.signal.aborted) this.#recovery ??= this.#recover();
    });
    // Nothing is ever asked on it; to notice its end, the stream must flow. It does not keep the process alive.
    link.resume();
    link.unref();
  }

  async #recover(): Promise<void> {
    // One that exits again and again, each time at its first command, would be started fifty times a second.
    if (this.#exits > 1) await this.#pause(Math.min(restartMsMin * 2 ** Math.min(this.#exits, 10), restartMsMax));
    let restartMs = restartMsMin;
    while (this.#link === null && !this.#closing.signal.aborted) {
      try {
        await this.#awaitSpace();
        await this.#ensure();
      } catch (error) {
        this.#tell(error);
        await this.#pause(restartMs);
        restartMs = Math.min(restartMs * 2, restartMsMax);
      }
    }
    this.#recovery = null;
  }

  async #pause(ms: number): Promise<void> {
    try {
      await delay(ms, undefined, { signal: this.#closing.signal });
    } catch {
      // close() ends the wait; the loops look at the signal themselves
    }
  }

  async #failed(server: RunningServer): Promise<RedisStartError> {
    const log = readTail(logFileOf(this.#directory), server.logStart);
    const full = await lackOfSpace(this.#directory);
    return new RedisStartError({
      code: full === null ? 'EREDISSTART' : 'ENOSPC',
      path: this.#options.server.bin,
      reason: `The embedded Redis in ${this.#directory} did not start: ${this.#options.server.bin} ${server.ended}.${full === null ? '' : ` ${full}`}`,
      hint: full === null ? remedyOf(log) : 'Free some space there.',
      log,
    });
  }

  /**
   * Waits while the disk is full that a server died of: started there it would end again at the next record. Reports
   * the cause once, to `onError`.
   */
  async #awaitSpace(): Promise<void> {
    const log = readTail(logFileOf(this.#directory), 0);
    // Root may have room where others have none.
    if (!diedOfSpace(log) && this.#exits === 0) return;
    for (let told = false; !this.#closing.signal.aborted; told = true) {
      const full = await lackOfSpace(this.#directory);
      if (full === null) return;
      if (!told) {
        const reason = `The embedded Redis in ${this.#directory} has ended. ${full}`;
        const hint = 'Free some space there: it is started again then, and all goes on by itself.';
        const lastWords = log.trimEnd().split('\n').slice(-2).join('\n');
        this.#tell(new RedisStartError({ code: 'ENOSPC', path: this.#directory, reason, hint, log: lastWords }));
      }
      await this.#pause(spaceEveryMs);
    }
  }

  #tell(error: unknown): void {
    this.#options.onError?.(error instanceof Error ? error : new Error(String(error)));
  }

  /** Time is over. A server of ours that is mute is ended, so that the next try finds the lock free. */
  async #mute(state: string): Promise<RedisStartError> {
    const own = this.#server;
    if (own !== null) {
      own.hold();
      own.kill();
      await own.end;
    }
    const found =
      state === 'absent' ? 'does not listen' : state === 'loading' ? 'still reads its data' : 'does not answer';
    return new RedisStartError({
      code: 'EREDISBUSY',
      path: this.socketPath,
      reason:
        own === null
          ? `Another process runs the Redis of ${this.#directory}, but it ${found} at ${this.socketPath}.`
          : `The embedded Redis in ${this.#directory} ${found}; it was stopped.`,
      hint: `See which process has ${join(this.#directory, 'redis.lock')} open (fuser, lsof), and whether it is stopped or the machine is overloaded.`,
      log: readTail(logFileOf(this.#directory), own?.logStart ?? 0),
    });
  }

  #foreign(reply: string): RedisStartError {
    return new RedisStartError({
      code: 'EREDISSTART',
      path: this.socketPath,
      reason: `What listens at ${this.socketPath} is not the embedded Redis: '${reply}'.`,
      hint: 'Stop that program, or choose another data directory.',
    });
  }
}

/** Patience for an answer, and much more of it while data is being read. */
class Deadline {
  readonly #begun = performance.now();
  readonly #answerMs: number;
  #answerBy: number;

  constructor(answerMs: number) {
    this.#answerMs = answerMs;
    this.#answerBy = this.#begun + answerMs;
  }

  loading(): void {
    this.#answerBy = Math.min(performance.now() + this.#answerMs, this.#begun + loadMsMax);
  }

  leftMs(): number {
    return Math.max(0, this.#answerBy - performance.now());
  }
}

function requireProgram(bin: string): void {
  try {
    accessSync(bin, constants.X_OK);
    if (statSync(bin).isFile()) return;
    throw Object.assign(new Error(`EACCES: not a program, '${bin}'`), { code: 'EACCES' });
  } catch (error) {
    const { code, message } = toWire(error);
    throw new RedisStartError({
      code,
      path: bin,
      reason: `The Redis server program ${bin} cannot be run: ${message}.`,
      hint: 'Name an executable redis-server or valkey-server, or use a Redis of your own by its URL.',
      cause: error,
    });
  }
}

async function stop(server: RunningServer, link: Socket | null): Promise<void> {
  server.hold();
  // SHUTDOWN writes the append-only file out and removes the socket while the lock is still held, so that neither
  // this process nor anybody else can remove the socket of the server that follows.
  if (link === null) server.kill();
  else link.write('SHUTDOWN NOSAVE\r\n');
  const timer = setTimeout(() => server.kill(), stopMsMax);
  await server.end;
  clearTimeout(timer);
  link?.destroy();
}

/** Stops a server that another process started, as its last user. The end of the link reports its end. */
async function stopOrphan(link: Socket): Promise<void> {
  const gone = new AbortController();
  let told = '';
  link.on('data', (chunk) => {
    told += String(chunk);
  });
  link.once('close', () => gone.abort());
  link.ref();
  link.write('INFO server\r\nSHUTDOWN NOSAVE\r\n');
  // The shell beside it ends it by force where it hangs.
  if (!link.destroyed) await delay(stopMsMax + 2000, undefined, { signal: gone.signal }).catch(() => {});
  // A process closes its sockets before it lets go of its directory, which may be about to be unmounted.
  const pid = /process_id:(\d+)/.exec(told)?.[1];
  if (pid === undefined) return;
  const until = performance.now() + lastGaspMsMax;
  while (existsSync(`/proc/${pid}`) && performance.now() < until) await delay(lookEveryMs);
}

/** A server that has only just been started answers in a moment; then it can be stopped in order, not killed. */
async function linkTo(server: RunningServer, socketPath: string): Promise<Socket | null> {
  const deadline = performance.now() + probeMsMax;
  while (server.ended === null && performance.now() < deadline) {
    const found = await probe(socketPath, probeMsMax);
    if (found.state === 'ready') return found.link; // ours: no other can run while it holds the lock
    await delay(lookEveryMs);
  }
  return null;
}

/** What was written to the log since `start`, cut to its last lines; empty if it cannot be read. */
function readTail(file: string, start: number): string {
  let descriptor: number | null = null;
  try {
    descriptor = openSync(file, 'r');
    const from = Math.max(start, statSync(file).size - logTailBytes);
    const tail = Buffer.alloc(logTailBytes);
    const text = tail.toString('utf8', 0, readSync(descriptor, tail, 0, logTailBytes, from));
    return from > start ? text.slice(text.indexOf('\n') + 1) : text;
  } catch {
    return '';
  } finally {
    if (descriptor !== null) closeSync(descriptor);
  }
}
