/** `penstock write <path> --from -`: standard input into a file, by the engine in this process; no queue, no host. */
import { createReadStream, fstatSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import type { Command } from 'commander';
import {
  defaultRoot,
  directOf,
  FLAGGED_SETTINGS,
  type FlaggedSettings,
  makeDirectories,
  readLibaio,
  type StoreSettings,
} from '@penstock/config';
import { RequestError, type WriteRequestInput, type WriteResult } from '@penstock/contract';
import type { FileOptions } from 'penstock';
import { UsageError } from '../terminal/failures.ts';
import type { RootChoice } from './host-roots.ts';
import { takeInterrupts } from '../terminal/interrupts.ts';
import { say } from '../terminal/output.ts';
import type { ProgressLine } from '../terminal/progress-line.ts';
import { judgeRequest } from './request-options.ts';
import { watchReading } from '../verify/silent-reading.ts';

/** Settings of a host that the engine in this process has too. */
const OF_ENGINE: ReadonlySet<string> = new Set(['depth', 'memoryBytes', 'engine', 'direct']);

/** Options of a queue, of a host or of a copy. */
const ELSEWHERE: readonly string[] = [
  'redis',
  'attempts',
  ...FLAGGED_SETTINGS.filter((name) => !OF_ENGINE.has(name)),
  'on',
  'fromRoot',
  'holes',
  'reflink',
  'mtime',
];

/** What the thread may use. */
export interface StdinOptions extends Pick<FlaggedSettings, 'depth' | 'memoryBytes' | 'engine' | 'direct'> {
  root?: RootChoice;
}

/** The flags of those of `names` that were given on the command line. */
export const flagsGiven = (command: Command, names: readonly string[]): string[] =>
  names
    .filter((name) => command.getOptionValueSource(name) === 'cli')
    .map((name) => command.options.find((option) => option.attributeName() === name)?.long ?? name);

/** @throws UsageError naming the options that have no meaning beside `--from -` */
export function refuseOptionsBesideStdin(command: Command): void {
  const given = flagsGiven(command, ELSEWHERE);
  if (given.length === 0) return;
  throw new UsageError(
    `${given.join(', ')}: not with --from -, which writes standard input at once, without a queue and without a host`,
  );
}

/** Writes standard input to the file that `request` names; the other fields of `request` hold, but its source. */
export async function writeStandardInput(
  request: WriteRequestInput,
  options: StdinOptions,
  settings: StoreSettings,
  line: ProgressLine,
): Promise<{ result: WriteResult; file: string }> {
  // The contract's own judge; it wants a size of the source that it takes this for.
  judgeRequest({ ...request, size: request.size ?? 0 });
  const root = await rootOf(options.root, settings);
  const interrupts = takeInterrupts();
  const { openWriter } = await import('penstock');
  const libaio = readLibaio();
  const input = standardInput();
  const writer = await openWriter({
    threads: 1,
    jobs: 1,
    depth: options.depth,
    memoryBytes: options.memoryBytes,
    engine: options.engine,
    direct: directOf(options.direct, root.name),
    libaio,
  });
  try {
    if (process.stdin.isTTY) say('reading standard input until its end (Ctrl-D)');
    const { path, root: _root, source: _source, target: _target, ...fields } = request;
    const file = join(root.path, path);
    const result = await writer.writeFile(file, input, {
      ...(fields satisfies FileOptions & { size?: number | string | undefined }),
      makeDirectories: true,
      signal: interrupts.signal,
      onProgress: (progress) => line.update(path, progress),
    });
    return { result: { ...result, path, root: root.name }, file };
  } catch (error) {
    interrupts.signal.throwIfAborted(); // its reason names the signal
    throw error;
  } finally {
    line.clear();
    input.destroy(); // else a terminal or a producer that goes on would keep this process
    await writer.close();
    interrupts.release();
  }
}

/** Node has a stream of no bytes for what it does not know there: a disk would be written as an empty file. */
function standardInput(): Readable {
  const input = fstatSync(0);
  return input.isBlockDevice() || input.isDirectory() ? createReadStream('', { fd: 0 }) : process.stdin;
}

async function rootOf(
  choice: RootChoice | undefined,
  settings: StoreSettings,
): Promise<{ name: string; path: string }> {
  const defined = choice?.definition;
  if (defined?.writable === false) throw new UsageError(`--root ${defined.name}: it is to be read only (:ro)`);
  if (defined !== undefined) return defined;
  const root = defaultRoot(settings.dataDirectory);
  if (choice !== undefined && choice.name !== root.name) {
    const accepted = `name=directory, like ${choice.name}=/srv/${choice.name}: with --from - there is no host that knows roots by name`;
    throw new RequestError({ field: 'root', value: choice.name, accepted });
  }
  // What follows waits for the disk without a word.
  const silence = watchReading([root.path], say);
  await stat(root.path).catch(() => {});
  silence.end();
  makeDirectories(root.path);
  return root;
}
