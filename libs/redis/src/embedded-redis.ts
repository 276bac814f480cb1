/** The Redis of a data directory: found or started, watched, started again, and ended with its last user. */
import { existsSync, realpathSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import {
  makePrivateDirectory,
  makeSocketDirectory,
  removeSocketDirectory,
  socketPathOf,
} from './directory/socket-path.ts';
import { lackOfSpace } from './directory/space.ts';
import { Use } from './directory/users.ts';
import type { RedisStartError } from './errors/redis-start-error.ts';
import { exitFailure, foreignFailure, silenceFailure, spaceFailure } from './errors/start-failures.ts';
import { AnswerDeadline } from './server/answer-deadline.ts';
import { assertProgram, type RedisServerBinary } from './server/binary.ts';
import { launch, type RunningServer } from './server/launch.ts';
import { diedOfSpace, logTail } from './server/log.ts';
import { PROBE_MS_MAX, probe } from './server/probe.ts';
import { stopOrphan, stopOwn } from './server/stop.ts';

export interface EmbeddedRedisOptions {
  /** The data directory; the server keeps its files in `redis/` below it, which is made if need be. */
  directory: string;
  server: RedisServerBinary;
  /**
   * `always` (the default): nothing is acknowledged before it is on the disk. `everysec`: up to two seconds may be lost.
   * The process that starts the server decides for all.
   */
  appendfsync?: 'always' | 'everysec';
  /** How long a server may stay silent before `open` rejects, in milliseconds; default: 10,000. Loading does not count. */
  answerMsMax?: number;
  /** Called each time the server is gone and could not be started again yet; the attempts never end. */
  onError?: (error: Error) => void;
}

const ANSWER_MS_DEFAULT = 10_000;
/** Between two looks while a server starts: ready is noticed within this time. */
const LOOK_MS = 3;
/** Between two attempts to get the lock while another process has it: an attempt costs a process. */
const LOCK_MS = 15;
/** Between two looks at a full disk. */
const SPACE_MS = 500;
/** A server of ours that exits within this time of its start has failed again; later, for the first time. */
const SOON_MS = 5000;
const RESTART_MS_MIN = 100;
const RESTART_MS_MAX = 2000;

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
  /** A connection that nothing is sent on: its end shows that the server is gone. */
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
   * Lets go of it. If no other process has it open, the server is stopped in order, and this resolves when it is gone.
   * Never rejects; may be called twice.
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
      await stopOwn(server, this.socketPath, this.#link);
      removeSocketDirectory(this.socketPath, this.#directory);
    } else if (isLast) {
      // Another process may have started it while this one waited for its turn.
      const link = this.#link ?? (await this.#linkOfOthers());
      if (link !== null) await stopOrphan(link);
      removeSocketDirectory(this.socketPath, this.#directory);
    }
    this.#link?.destroy();
    this.#link = null;
  }

  async #linkOfOthers(): Promise<Socket | null> {
    const found = await probe(this.socketPath, PROBE_MS_MAX);
    return found.state === 'ready' ? found.link : null;
  }

  /** Resolves when there is a server that answers, and the link to it stands; or when this is being closed. */
  async #ensure(): Promise<void> {
    const deadline = new AnswerDeadline(this.#options.answerMsMax ?? ANSWER_MS_DEFAULT);
    let tried: RunningServer | null = null;
    while (!this.#closing.signal.aborted) {
      const found = await probe(this.socketPath, Math.min(PROBE_MS_MAX, deadline.leftMs()));
      if (found.state === 'ready') {
        this.#watch(found.link);
        return;
      }
      if (found.state === 'foreign') throw foreignFailure(this.socketPath, found.reply);
      if (found.state === 'loading') deadline.loading();
      if (tried?.ended != null) {
        // Whoever closed last may have removed the socket's directory between our making it and the server's bind.
        if (existsSync(dirname(this.socketPath))) throw await this.#failureOf(tried);
        tried = null;
      }
      if (deadline.leftMs() === 0) throw await this.#giveUp(found.state);

      if (found.state === 'absent' && tried === null) {
        tried = await this.#start();
        if (tried === null) await this.#pause(LOCK_MS);
      } else {
        await this.#pause(LOOK_MS);
      }
    }
  }

  async #start(): Promise<RunningServer | null> {
    assertProgram(this.#options.server.bin);
    makeSocketDirectory(this.socketPath, this.#directory);
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

  async #forgetAtEnd(server: RunningServer): Promise<void> {
    const begun = performance.now();
    const how = await server.end;
    // One that was killed may be started again at once; only an exit by itself shows that something is wrong with it.
    const isSick = how.startsWith('exited') && !this.#closing.signal.aborted;
    this.#exits = isSick ? (performance.now() - begun < SOON_MS ? this.#exits + 1 : 1) : 0;
    if (this.#server === server) this.#server = null;
  }

  #watch(link: Socket): void {
    this.#link = link;
    link.on('close', () => {
      if (this.#link === link) this.#link = null;
      if (!this.#closing.signal.aborted) this.#recovery ??= this.#recover();
    });
    // Nothing is ever sent on it; to notice its end, the stream must flow. It does not keep the process alive.
    link.resume();
    link.unref();
  }

  async #recover(): Promise<void> {
    // A server that exits again and again, each time at its first command, would be started fifty times a second.
    if (this.#exits > 1) await this.#pause(Math.min(RESTART_MS_MIN * 2 ** Math.min(this.#exits, 10), RESTART_MS_MAX));
    let restartMs = RESTART_MS_MIN;
    while (this.#link === null && !this.#closing.signal.aborted) {
      try {
        await this.#awaitSpace();
        await this.#ensure();
      } catch (error) {
        this.#report(error);
        await this.#pause(restartMs);
        restartMs = Math.min(restartMs * 2, RESTART_MS_MAX);
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

  /** Why `server`, which this process started, has ended. */
  async #failureOf({ logStart, ended }: RunningServer): Promise<RedisStartError> {
    const directory = this.#directory;
    const log = logTail(directory, logStart);
    return exitFailure({
      directory,
      bin: this.#options.server.bin,
      how: ended,
      log,
      lackOfSpace: await lackOfSpace(directory),
    });
  }

  /**
   * Waits while the disk is full that a server died of: started there it would end again at the next record. Reports
   * the cause once, to `onError`.
   */
  async #awaitSpace(): Promise<void> {
    const log = logTail(this.#directory, 0);
    // Without such a log the disk is looked at only if a server of ours exited: root may have room when others have none.
    if (!diedOfSpace(log) && this.#exits === 0) return;
    for (let isReported = false; !this.#closing.signal.aborted; isReported = true) {
      const lack = await lackOfSpace(this.#directory);
      if (lack === null) return;
      if (!isReported) this.#report(spaceFailure(this.#directory, lack, log));
      await this.#pause(SPACE_MS);
    }
  }

  #report(error: unknown): void {
    this.#options.onError?.(error instanceof Error ? error : new Error(String(error)));
  }

  /** Time is over. If the silent server is ours it is ended, so that the next attempt finds the lock free. */
  async #giveUp(state: string): Promise<RedisStartError> {
    const own = this.#server;
    if (own !== null) {
      own.hold();
      own.kill();
      await own.end;
    }
    const [directory, socketPath] = [this.#directory, this.socketPath];
    return silenceFailure({
      directory,
      socketPath,
      state,
      isOwn: own !== null,
      log: logTail(directory, own?.logStart ?? 0),
    });
  }
}
