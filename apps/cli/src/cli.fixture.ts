/** For tests: the compiled command line as processes of their own, over a fresh data directory on a real disk. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const program: string = fileURLToPath(new URL('../dist/main.js', import.meta.url));
// The checkout's disk: the temporary directory is often memory, where direct I/O proves nothing.
const scratch = fileURLToPath(new URL('../../../.cache/scratch/', import.meta.url));

/** A command that ended. */
export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** A command that runs. */
export class Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  stdout = '';
  stderr = '';

  constructor(args: readonly string[], env: NodeJS.ProcessEnv) {
    const child = spawn(process.execPath, [program, ...args], { env, stdio: ['pipe', 'pipe', 'pipe'] });
    this.child = child;
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    this.ended = this.#end();
  }

  async #end(): Promise<Ended> {
    const [code, signal] = (await once(this.child, 'close')) as [number | null, NodeJS.Signals | null];
    return { code, signal, stdout: this.stdout, stderr: this.stderr };
  }

  /** Resolves when the command has said something like `pattern`. @throws when it ends before */
  async says(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const found = pattern.exec(this.stdout) ?? pattern.exec(this.stderr);
      if (found !== null) return found;
      const { child } = this;
      if (child.exitCode !== null || child.signalCode !== null) {
        throw new Error(`it ended without saying ${String(pattern)}:\n${this.stdout}${this.stderr}`);
      }
      await Promise.race([once(child.stdout!, 'data'), once(child.stderr!, 'data'), once(child, 'close')]);
    }
  }
}

/** The command line over one data directory. */
export class Cli {
  readonly directory: string;
  readonly env: NodeJS.ProcessEnv;

  constructor() {
    mkdirSync(scratch, { recursive: true });
    this.directory = mkdtempSync(join(scratch, 'cli-'));
    const { PENSTOCK_REDIS_URL: _url, PENSTOCK_DEBUG: _debug, DEBUG: _other, ...env } = process.env;
    this.env = { ...env, PENSTOCK_DATA: this.directory, NO_COLOR: '1' };
  }

  /** Runs a command to its end. */
  run(...args: string[]): Promise<Ended> {
    const running = this.start(...args);
    running.child.stdin?.end();
    return running.ended;
  }

  start(...args: string[]): Running {
    return new Running(args, this.env);
  }

  /** Of a file in the root "data". */
  file(name: string): string {
    return join(this.directory, 'files', name);
  }

  /** Names in the root "data", temporary ones included. */
  names(): string[] {
    return readdirSync(join(this.directory, 'files')).toSorted();
  }

  /** Removes the data directory. @throws if a process that uses it still runs */
  close(): void {
    const left = processesNaming(this.directory);
    rmSync(this.directory, { recursive: true, force: true });
    if (left.length > 0) throw new Error(`processes were left behind:\n${left.join('\n')}`);
  }
}

/** Command lines of running processes in which `text` occurs. */
export function processesNaming(text: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .map((pid) => {
      try {
        return `${pid} ${readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')}`;
      } catch {
        return ''; // ended meanwhile
      }
    })
    .filter((line) => line.includes(text));
}
