/** A made-up checkout with the real set-up scripts, and programs that only note that they were run. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  openSync,
  writeSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const config = fileURLToPath(new URL('../../config', import.meta.url));

export interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

export class Checkout {
  // A space, because a folder of somebody's home has one.
  readonly root: string = realpathSync(mkdtempSync(join(tmpdir(), 'a checkout ')));
  readonly #children: ChildProcess[] = [];
  readonly #gate: string = join(this.root, 'gate');
  readonly #opened: number[] = [];

  constructor() {
    for (const name of ['setup.mjs', 'setup', 'start.mjs', 'report.mjs', 'test.mjs'])
      cpSync(join(config, name), join(this.root, 'config', name), { recursive: true });
    this.write('package.json', { name: 'made-up', version: '1.0.0', workspaces: ['libs/*'] });
    this.write('package-lock.json', {
      lockfileVersion: 3,
      packages: {
        '': {},
        'node_modules/left': { version: '1.0.0' },
        'node_modules/elsewhere': { version: '1.0.0', optional: true },
      },
    });
    this.write('tsconfig.json', { references: [{ path: 'libs/one' }] });
    this.write('tsconfig.base.json', {});
    this.write('libs/one/package.json', { name: 'one' });
    this.write('libs/one/src/index.ts', 'export {};');
    this.program('redis-server', 'echo "Redis server v=7.0.15 sha=0"');
    // Where libaio is not installed, set-up would go and fetch it.
    this.program('apt-get', 'exit 1');
    // Does to node_modules what npm ci does, its own lock file last.
    this.program(
      'npm',
      `echo "$1" >>"$ROOT/npm.log"
echo "npm works"
mkdir -p "$ROOT/node_modules/left" "$ROOT/node_modules/typescript/bin" "$ROOT/node_modules/rolldown"
[ ! -p "$ROOT/gate" ] || read -r _ <"$ROOT/gate"
echo '{}' >"$ROOT/node_modules/left/package.json"
cp "$ROOT/tsc.js" "$ROOT/node_modules/typescript/bin/tsc"
cp "$ROOT/rolldown.js" "$ROOT/node_modules/rolldown/index.js"
echo '{"packages":{"node_modules/left":{"version":"1.0.0"}}}' >"$ROOT/node_modules/.package-lock.json"`,
    );
    this.write(
      'tsc.js',
      `const fs = require('node:fs');
fs.appendFileSync(process.env.ROOT + '/tsc.log', 'tsc\\n');
fs.mkdirSync(process.env.ROOT + '/libs/one/dist', { recursive: true });
fs.writeFileSync(process.env.ROOT + '/libs/one/dist/.tsbuildinfo', '');`,
    );
    this.write(
      'rolldown.js',
      `exports.build = async () => {
  require('node:fs').appendFileSync(process.env.ROOT + '/rolldown.log', 'rolldown\\n');
  return { output: [{ fileName: 'one.js', moduleIds: [process.env.ROOT + '/libs/one/dist/index.js'] }] };
};`,
    );
  }

  write(file: string, content: unknown): void {
    mkdirSync(dirname(join(this.root, file)), { recursive: true });
    writeFileSync(join(this.root, file), typeof content === 'string' ? content : JSON.stringify(content));
  }

  remove(file: string): void {
    rmSync(join(this.root, file), { recursive: true });
  }

  /** A shell script first on PATH. */
  program(name: string, script: string): string {
    const file = join(this.root, 'bin', name);
    this.write(`bin/${name}`, '');
    rmSync(file);
    writeFileSync(file, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    return file;
  }

  /** How many times the made-up program wrote its log. */
  runs(name: 'npm' | 'tsc' | 'rolldown'): number {
    const log = join(this.root, `${name}.log`);
    return existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n').length : 0;
  }

  start(script: string, args: string[], env: NodeJS.ProcessEnv = {}): ChildProcess {
    // npm's own variables would lead set-up to the npm that runs these tests.
    const { npm_execpath: _, REDIS_SERVER: __, PENSTOCK_REDIS_URL: ___, ...inherited } = process.env;
    const child = spawn(process.execPath, [join(this.root, 'config', script), ...args], {
      env: { ...inherited, PATH: `${join(this.root, 'bin')}:${process.env['PATH']}`, ROOT: this.root, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#children.push(child);
    return child;
  }

  async run(script: string, args: string[] = [], env: NodeJS.ProcessEnv = {}): Promise<Ended> {
    return ended(this.start(script, args, env));
  }

  /** Until `openGate` is called the made-up npm waits in the middle of its work. */
  closeGate(): void {
    execFileSync('mkfifo', [this.#gate]);
  }

  openGate(): void {
    // For reading as well, so that opening does not wait for a reader, and the line stays for one to come.
    const gate = openSync(this.#gate, 'r+');
    writeSync(gate, 'go\n');
    this.#opened.push(gate);
    rmSync(this.#gate);
  }

  close(): void {
    if (existsSync(this.#gate)) this.openGate();
    for (const gate of this.#opened) closeSync(gate);
    for (const child of this.#children) child.kill('SIGKILL');
    rmSync(this.root, { recursive: true, force: true });
  }
}

/** What a process said until it ended. */
export async function ended(child: ChildProcess): Promise<Ended> {
  let stdout = '';
  let stderr = '';
  child.stdout!.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr!.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout, stderr };
}

/** Resolves once the process has written this to stderr. */
export async function said(child: ChildProcess, text: string): Promise<void> {
  let heard = '';
  while (!heard.includes(text)) heard += String((await once(child.stderr!, 'data'))[0]);
}
