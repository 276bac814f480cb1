/** For tests: which modules a program loads, by the files that its process opens. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { programFile } from '@penstock/config/bundle';
import { foundProgram } from '../support/system.ts';

const repository = fileURLToPath(new URL('../..', import.meta.url));
const compiled = new URL('file:///compiled.js');

/** False if nobody has bundled what is compiled now: after a compiler alone, programs are run as they were compiled. */
export const isBundled: boolean = programFile('penstock', compiled) !== compiled.href;
export const strace: ReturnType<typeof foundProgram> = foundProgram('strace');

/** Modules that were loaded: the files that were opened, and the packages and rooms that their code is of. */
export interface Loaded {
  files: string[];
  /** What V8 had compiled of files of the bundle, and was read. */
  compiled: string[];
  /** 'bullmq', '@penstock/queue'. */
  origins: Set<string>;
}

/** The package or room of a path: 'zod' of node_modules/zod/index.js, '@penstock/sink' of libs/sink/dist/index.js. */
function originOf(path: string): string {
  const [, installed] = /.*node_modules\/(@[^/]+\/[^/]+|[^/]+)\//.exec(path) ?? [];
  const [, room] = /(?:^|\/)(?:(?:libs|workers|apps)\/)?([^/]+)\/dist\//.exec(path) ?? [];
  return installed ?? `@penstock/${room}`;
}

/** By file of the bundle, what its code is from. */
const bundleFolder = join(repository, 'apps/cli/dist/bundle/');
/** What V8 had compiled of the bundle's files, which are opened themselves too. */
export const compiledFolder: string = join(bundleFolder, 'compiled/');
const parts: Record<string, string[]> = isBundled
  ? (JSON.parse(readFileSync(join(bundleFolder, 'parts.json'), 'utf8')) as Record<string, string[]>)
  : {};

const partsOf = (file: string): string[] =>
  file.startsWith(bundleFolder) ? (parts[file.slice(bundleFolder.length)] ?? []) : [file];

/** Runs Node with `args` to its end. @throws if it fails */
export function loadedBy(args: readonly string[]): Loaded {
  const folder = mkdtempSync(join(tmpdir(), 'loaded-'));
  const log = join(folder, 'log');
  try {
    const traced = ['-f', '-qq', '--seccomp-bpf', '-e', 'trace=open,openat', '-o', log, process.execPath, ...args];
    execFileSync(strace!.bin, traced, { cwd: repository, env: { ...process.env, ...strace!.env }, stdio: 'pipe' });
    const opened = [...readFileSync(log, 'latin1').matchAll(/"(\/[^"]+\.(?:[cm]?js|node))"/g)].map(([, file]) => file!);
    const isCode = (file: string): boolean => !file.startsWith(compiledFolder) && existsSync(file);
    const files = [...new Set(opened)].filter(isCode);
    const taken = [...new Set(opened)].filter((file) => file.startsWith(compiledFolder) && existsSync(file));
    return { files, compiled: taken, origins: new Set(files.flatMap(partsOf).map(originOf)) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
