/**
 * Starts one server for a directory, or finds that another process runs one. Exclusion is a kernel lock on the file
 * `redis.lock`, held by the server process itself: it lasts exactly as long as the server, however that ends.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, statSync } from 'node:fs';
import { createServer, Socket, type Server as Listener } from 'node:net';
import { join } from 'node:path';
import { toWire } from '@penstock/contract';
import type { RedisServerBinary } from './binary.ts';
import { RedisStartError } from '../errors/redis-start-error.ts';
import { LAUNCHER } from './launcher.ts';
import { logFileOf, rotateLog } from './log.ts';

export interface LaunchOptions {
  /** The server's own directory, absolute and real; it exists and is writable. */
  directory: string;
  socketPath: string;
  /** The pipe that its users hold; the caller is one of them. Empty: the server lasts as long as this process. */
  users: string;
  server: RedisServerBinary;
  appendfsync: 'always' | 'everysec';
}

/** A server that this process started; it may not answer yet. */
export interface RunningServer {
  /** How it ended ("exited with status 1", "was killed by SIGKILL"), or null while it runs. */
  readonly ended: string | null;
  /** Resolves with `ended`. */
  readonly end: Promise<string>;
  /** Where its log began with this start, in bytes. */
  readonly logStart: number;
  /** True if it ends with this process, whoever else uses it. */
  readonly endsWithUs: boolean;
  /** Keeps this process alive until the end is seen; a running server alone does not. */
  hold(): void;
  /** Ends it without grace. */
  kill(): void;
}

/** Starts the server unless another process holds the directory's lock: then null. */
export async function launch(o: LaunchOptions): Promise<RunningServer | null> {
  const outcome = await attempt(o, 'flock');
  if (outcome !== 'unsupported') return outcome === 'held' ? null : outcome;

  // No usable flock(1) here. The name of an abstract socket is the other lock that the kernel frees however its holder
  // ends; it excludes only within one network namespace, and it is this process that holds it, not the server.
  const listener = await holdAbstractSocket(o.directory);
  if (listener === null) return null;
  try {
    const started = await attempt(o, 'socket');
    if (typeof started === 'string') throw new Error(`unreachable: the launcher reported '${started}'`);
    void started.end.then(() => listener.close());
    return started;
  } catch (error) {
    listener.close();
    throw error;
  }
}

async function attempt(o: LaunchOptions, lock: 'flock' | 'socket'): Promise<RunningServer | 'held' | 'unsupported'> {
  const logFile = logFileOf(o.directory);
  const opened: number[] = [];
  try {
    const logStart = rotateLog(logFile);
    opened.push(openForLaunch(logFile), openForLaunch(join(o.directory, 'redis.lock')));
    // Once this process is gone its socket keeps no second server out: the server must end with this process.
    const users = lock === 'flock' ? o.users : '';
    const child = spawn(
      'sh',
      ['-c', LAUNCHER, 'penstock-redis', lock, users, logFile, String(logStart), ...commandOf(o)],
      {
        cwd: o.directory,
        stdio: ['pipe', 'pipe', ...opened],
        // A session of its own: Ctrl-C in the terminal is for this process, which then stops the server in order.
        detached: true,
        // An inherited LANG that is not installed here makes Redis 7.2 and Valkey refuse to start.
        env: { ...process.env, LC_ALL: 'C', ...o.server.env },
      },
    );
    const running = new Child(child, logStart, users === '');
    const [word = '', pid] = (await firstLine(child)).split(' ');
    if (word === 'locked') {
      running.letGo(Number(pid));
      return running;
    }
    const end = await running.end;
    if (word === 'held' || word === 'unsupported') return word;
    throw new RedisStartError({
      code: 'EREDISSTART',
      path: o.directory,
      reason: `The embedded Redis in ${o.directory} could not be started: the launching shell ${end}.`,
      hint: 'Is there a POSIX shell, sh, on PATH?',
    });
  } finally {
    // The lock belongs to the open file description: our copy must be closed, or the lock would outlive the server.
    for (const descriptor of opened) closeSync(descriptor);
  }
}

function commandOf(o: LaunchOptions): string[] {
  // The first argument is an option, so no configuration file is read.
  const options: Record<string, string> = {
    port: '0',
    unixsocket: o.socketPath,
    unixsocketperm: '700',
    timeout: '0',
    daemonize: 'no',
    dir: o.directory,
    logfile: logFileOf(o.directory),
    save: '',
    appendonly: 'yes',
    appendfsync: o.appendfsync,
    'maxmemory-policy': 'noeviction',
  };
  return [o.server.bin, ...Object.entries(options).flatMap(([name, value]) => [`--${name}`, value])];
}

function openForLaunch(file: string): number {
  try {
    return openSync(file, 'a', 0o600);
  } catch (error) {
    const { code, message } = toWire(error);
    throw new RedisStartError({
      code,
      path: file,
      reason: `The embedded Redis cannot be started: ${message}.`,
      hint: 'Make it writable for this user, or choose another data directory.',
      cause: error,
    });
  }
}

/** The first line that the launcher prints; empty if it ended without one. */
async function firstLine(child: ChildProcess): Promise<string> {
  const { stdout } = child;
  if (stdout === null) return '';
  let text = '';
  try {
    for await (const chunk of stdout) {
      text += String(chunk);
      if (text.includes('\n')) break; // leaving the loop destroys our end; the server never writes to it
    }
  } catch {
    return '';
  }
  return text.trim();
}

class Child implements RunningServer {
  ended: string | null = null;
  readonly end: Promise<string>;
  readonly logStart: number;
  readonly endsWithUs: boolean;
  readonly #process: ChildProcess;
  #serverPid = 0;

  constructor(child: ChildProcess, logStart: number, endsWithUs: boolean) {
    this.#process = child;
    this.logStart = logStart;
    this.endsWithUs = endsWithUs;
    this.end = new Promise((resolve) => {
      const finish = (how: string): void => {
        this.ended ??= how;
        resolve(this.ended);
      };
      child.once('exit', (status, signal) => {
        finish(signal === null ? `exited with status ${status}` : `was killed by ${signal}`);
      });
      child.once('error', (error) => finish(`could not be run (${error.message})`));
    });
    child.stdin?.on('error', () => {});
  }

  /** From here on a running server alone does not keep this process alive. */
  letGo(serverPid: number): void {
    this.#serverPid = serverPid;
    this.#process.unref();
    // The pipe of a child process is a net.Socket, though its type is Writable.
    const pipe = this.#process.stdin;
    if (pipe instanceof Socket) pipe.unref();
  }

  hold(): void {
    this.#process.ref();
  }

  kill(): void {
    // The server itself: without setpriv a shell stands between. Until its end was seen no other process can have its number.
    if (this.ended !== null || this.#serverPid === 0) return;
    try {
      process.kill(this.#serverPid, 'SIGKILL');
    } catch {
      // it has ended, and the shell has not yet
    }
  }
}

async function holdAbstractSocket(directory: string): Promise<Listener | null> {
  const { dev, ino } = statSync(directory);
  const listener = createServer((socket) => socket.destroy());
  listener.unref();
  listener.listen(`\0penstock-redis-${dev}-${ino}`);
  try {
    await once(listener, 'listening');
    return listener;
  } catch (error) {
    if (toWire(error).code === 'EADDRINUSE') return null;
    throw error;
  }
}
