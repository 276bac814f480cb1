/**
 * A penstock process that this one started: the host or the gateway, with a channel to it.
 *
 * It is stopped by closing the channel, never by a signal: Ctrl-C and service managers signal the whole group at once,
 * and a second signal of ours would end it in the middle of its orderly stop. The channel also closes by itself when
 * this process dies, so nothing is left behind.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type WireError, fromWire } from '@penstock/contract';
import { watchHeld } from './held-process.ts';

/** What the process reports first: that it is ready (the gateway adds its address), or why it is not. */
interface ReadyMessage {
  ready: true;
  url?: string;
  link?: string;
}
interface FailedMessage {
  failed: WireError;
}

export interface AppProcessOptions {
  /** What it is called in messages. */
  label: 'host' | 'gateway';
  args: string[];
  env: NodeJS.ProcessEnv;
  /** Called with each line that it prints to standard error, once it is ready. */
  onLine: (line: string) => void;
  /** Aborted when its start is no longer wanted. */
  signal?: AbortSignal;
  /** Aborted when its orderly stop takes too long for somebody. */
  hurry?: AbortSignal;
}

/** The longest an orderly stop may take: a host waits for the I/O in flight, which a hung disk may never give back. */
const STOP_MS_MAX = 30_000;
const LINES_KEPT = 20;

export class AppProcess {
  readonly label: string;
  /** The gateway's address. */
  url: string | undefined;
  /** Lets one browser in there. */
  link: string | undefined;
  /** How it ended ("exit code 1", "killed by SIGKILL"); null while it runs. */
  outcome: string | null = null;
  /** Resolves with `outcome`. */
  readonly ended: Promise<string>;
  readonly #child: ChildProcess;
  readonly #hurry: AbortSignal | undefined;
  #isReady = false;

  private constructor(options: AppProcessOptions) {
    this.label = options.label;
    this.#hurry = options.hurry;
    const entry =
      options.label === 'host'
        ? import.meta.resolve('@penstock/host/main')
        : import.meta.resolve('@penstock/gateway/main');
    this.#child = spawn(process.execPath, [fileURLToPath(entry), ...options.args], {
      env: options.env,
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    this.ended = new Promise((resolve) => {
      const end = (how: string): void => {
        this.outcome ??= how;
        resolve(this.outcome);
      };
      this.#child.once('exit', (code, signal) => end(signal === null ? `exit code ${code}` : `killed by ${signal}`));
      this.#child.once('error', (error) => end(error.message));
    });
  }

  /** Starts it, and resolves when it is ready. @throws what it reports as wrong, or the reason of `signal` */
  static async start(options: AppProcessOptions): Promise<AppProcess> {
    options.signal?.throwIfAborted();
    const app = new AppProcess(options);
    try {
      await app.#ready(options);
      return app;
    } catch (error) {
      await app.stop();
      throw error;
    }
  }

  #ready(options: AppProcessOptions): Promise<void> {
    const child = this.#child;
    const early: string[] = [];
    const lines = child.stderr === null ? null : createInterface({ input: child.stderr });
    lines?.on('line', (line) => {
      if (this.#isReady) options.onLine(line);
      else if (early.push(line) > LINES_KEPT) early.shift();
    });
    return new Promise((resolve, reject) => {
      child.once('message', (message: ReadyMessage | FailedMessage) => {
        // It has printed the same error by then: the lines held back would say it twice.
        if ('failed' in message) {
          reject(fromWire(message.failed));
          return;
        }
        this.url = message.url;
        this.link = message.link;
        this.#isReady = true;
        resolve();
        for (const line of early) options.onLine(line);
      });
      options.signal?.addEventListener('abort', () => reject(options.signal?.reason), { once: true });
      const endEarly = async (): Promise<void> => {
        // Its last lines say why, and may come after its end. (The event 'close' of the child would wait for them, but
        // does not come if the channel was closed from here.)
        await Promise.all([this.ended, lines === null ? null : once(lines, 'close')]);
        const why = early.length === 0 ? '' : `:\n  ${early.join('\n  ')}`;
        reject(new Error(`the ${this.label} ended before it was ready (${this.outcome})${why}`));
      };
      void endEarly();
    });
  }

  /** Its disk holds what is left of it: this process need not wait for that. */
  #leave(): void {
    this.#child.unref();
    this.#child.stderr?.destroy();
  }

  /** Ends it in order, and by force if that takes too long. Resolves when it is gone; may be called again. */
  async stop(): Promise<void> {
    const child = this.#child;
    if (child.connected) child.disconnect();
    // Before it listens to the channel, its end would pass unnoticed; there is nothing yet to be stopped in order.
    if (!this.#isReady) child.kill('SIGTERM');
    const kill = (): void => {
      child.kill('SIGKILL');
    };
    const timer = setTimeout(kill, STOP_MS_MAX);
    if (this.#hurry?.aborted === true) kill();
    this.#hurry?.addEventListener('abort', kill, { once: true });
    const watch = watchHeld(child);
    await Promise.race([this.ended, watch.held]);
    watch.end();
    if (this.outcome === null) this.#leave();
    clearTimeout(timer);
    this.#hurry?.removeEventListener('abort', kill);
  }
}
