/** `penstock demo`: the main job. Three files through the real queue, read back by another path, in one table. */
import { realpathSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { Command, Option } from 'commander';
import { openStore, readLibaio, sizeInBytes } from '@penstock/config';
import { type WriteRequestInput, type WriteResult, formatBytes, fromWire, toWire } from '@penstock/contract';
import type { WriteQueue } from '@penstock/queue';
import { AppProcess } from '../processes/app-process.ts';
import { formatMicroseconds, formatSeconds } from '../terminal/figures.ts';
import { follow } from '../job/follow.ts';
import { takeInterrupts } from '../terminal/interrupts.ts';
import { print, say } from '../terminal/output.ts';
import { type ProgressLine, createProgressLine } from '../terminal/progress-line.ts';
import { ScreenText } from '../terminal/screen-text.ts';
import { showReading } from '../verify/reading-line.ts';

interface DemoOptions {
  dir?: string;
  size: number;
}

/** One file of the demo. */
interface Step {
  request: WriteRequestInput;
  says: string;
  /** Reads the file back and compares it. Resolves with its sha256; rejects with what differs. */
  check: (path: string, line: ProgressLine, signal: AbortSignal) => Promise<string>;
}

const SIZE_BYTES = 1_073_741_824;
/** For the Redis, the forum's files and the file system's own needs. */
const SLACK_BYTES = 67_108_864;
const FORUM = { bytes: 1_048_576, rows: 1024, rowBytes: 1024 } as const;
const SEED = 2011;

const EXAMPLES = `
Writes below the system's temporary directory and removes everything again. Takes about ten seconds and 1.2 GiB of disk.`;

export function demoCommand(): Command {
  return new Command('demo')
    .description('See it work: three files through the real queue, read back and verified.')
    .option('--dir <directory>', 'where to write (default: the temporary directory, if it is a disk)')
    .addOption(
      new Option('--size <size>', 'the size of the large file')
        .argParser(sizeInBytes)
        .default(SIZE_BYTES, formatBytes(SIZE_BYTES)),
    )
    .addHelpText('after', EXAMPLES)
    .action(demo);
}

async function demo(options: DemoOptions): Promise<void> {
  const startedAt = performance.now();
  const interrupts = takeInterrupts();
  const { makeDemoDirectory } = await import('../demo/demo-directory.ts');
  const program = realpathSync(process.execPath);
  const neededBytes = options.size + statSync(program).size + SLACK_BYTES;
  const made = makeDemoDirectory(neededBytes, options.dir);
  try {
    if (made.note !== undefined) say(`${made.note}: writing elsewhere`);
    print(`Three files through the queue, in ${made.directory}`);
    await perform(made.directory, program, options.size, interrupts);
  } finally {
    made.remove();
    interrupts.release();
  }
  print('');
  print(`Took ${formatSeconds(performance.now() - startedAt)}; nothing of it is left behind.`);
}

async function perform(
  directory: string,
  program: string,
  size: number,
  { signal, hurry }: { signal: AbortSignal; hurry: AbortSignal },
): Promise<void> {
  const line = await createProgressLine();
  const note = (text: string): void => line.note(text);
  const store = await openStore({ kind: 'embedded', directory }, process.env, (error) => note(error.message));
  let queue: WriteQueue | null = null;
  let host: AppProcess | null = null;
  try {
    const { PENSTOCK_REDIS_URL: _other, ...env } = process.env;
    // Each loads a client of the queue: on two cores, at the same time.
    const loading = import('@penstock/queue');
    host = await AppProcess.start({
      label: 'host',
      args: ['--quiet', '--data', directory, '--root', `node=${dirname(program)}:ro`],
      env,
      onLine: note,
      signal,
      hurry,
    });
    const { WriteQueue } = await loading;
    queue = new WriteQueue({ connection: store.connection, onError: (error) => note(error.message) });
    const unattended = new AbortController();
    const abandon = async (app: AppProcess): Promise<void> => {
      const how = await app.ended;
      unattended.abort(new Error(`the host ended unexpectedly (${how})`));
    };
    void abandon(host);
    const either = AbortSignal.any([signal, unattended.signal]);
    const rows: string[][] = [];
    const results: WriteResult[] = [];
    for (const step of stepsFor(program, size)) {
      print(`  ${step.request.path}: ${step.says}`);
      const result = await writeThrough(queue, step, line, either);
      const path = join(directory, 'files', step.request.path);
      const sha256 = await step.check(path, line, either);
      line.clear();
      results.push(result);
      rows.push(rowOf(result, sha256));
    }
    const { drawTable } = await import('../terminal/table-text.ts');
    print('');
    print(drawTable(COLUMNS, rows, false));
    const [forum] = results;
    if (forum !== undefined) await explain(directory, forum);
  } finally {
    line.clear();
    await host?.stop();
    await queue?.close();
    await store.close();
  }
}

function stepsFor(program: string, size: number): Step[] {
  return [
    {
      request: {
        path: 'forum-2011.txt',
        size: FORUM.bytes,
        matrix: { rows: FORUM.rows, rowBytes: FORUM.rowBytes },
        source: { kind: 'pattern', pattern: 'text', seed: SEED },
      },
      says: `the forum's program as a request, ${FORUM.rows} rows of ${FORUM.rowBytes} bytes`,
      check: (path, line, signal) => checkPattern(path, FORUM.bytes, 'text', line, signal),
    },
    {
      request: { path: 'stamped.bin', size, source: { kind: 'pattern', pattern: 'stamp', seed: SEED } },
      says: `${formatBytes(size)} in which every 512 bytes say where they belong`,
      check: (path, line, signal) => checkPattern(path, size, 'stamp', line, signal),
    },
    {
      request: { path: 'node-copy', source: { kind: 'file', path: basename(program), root: 'node' } },
      says: `a copy of ${program}`,
      check: (path, line, signal) => checkCopy(path, program, line, signal),
    },
  ];
}

async function writeThrough(
  queue: WriteQueue,
  step: Step,
  line: ProgressLine,
  signal: AbortSignal,
): Promise<WriteResult> {
  signal.throwIfAborted();
  const id = await queue.add(step.request);
  const outcome = await follow<WriteResult>(queue, id, step.request.path, line, signal);
  if (!outcome.ok) throw fromWire(outcome.error);
  return outcome.result;
}

async function checkPattern(
  path: string,
  size: number,
  pattern: 'text' | 'stamp',
  line: ProgressLine,
  signal: AbortSignal,
): Promise<string> {
  const { describeDifference, readBack } = await import('../verify/read-back.ts');
  const onProgress = showReading(basename(path), line);
  const { mismatch, sha256 } = await readBack({ path, size, source: { pattern, seed: SEED }, onProgress, signal });
  if (mismatch !== null)
    throw new Error(`${path} was read back and is not what was asked for: ${describeDifference(mismatch)}`);
  return sha256;
}

async function checkCopy(path: string, original: string, line: ProgressLine, signal: AbortSignal): Promise<string> {
  const { compareFiles, describeDifference } = await import('../verify/read-back.ts');
  const onProgress = showReading(basename(path), line);
  const { file, against } = await compareFiles(path, original, { onProgress, signal });
  if (file.mismatch !== null)
    throw new Error(`${path} is no copy of ${original}: ${describeDifference(file.mismatch)}`);
  if (file.sha256 !== against.sha256) throw new Error(`${path} and ${original} have different checksums`);
  return file.sha256;
}

const COLUMNS = [
  { heading: 'file' },
  { heading: 'bytes', alignment: 'right' },
  { heading: 'MiB/s', alignment: 'right' },
  { heading: 'write p50', alignment: 'right' },
  { heading: 'write p99', alignment: 'right' },
  { heading: 'mode' },
  { heading: 'sha256, read back' },
] as const;

const MIB = 1_048_576;
const DIGITS_SHOWN = 16;

function rowOf(result: WriteResult, sha256: string): string[] {
  const { p50, p99 } = result.writeLatencyUs;
  return [
    result.path,
    result.bytes.toLocaleString('en'),
    (result.bytesPerSecond / MIB).toFixed(0),
    formatMicroseconds(p50),
    formatMicroseconds(p99),
    result.mode,
    `${sha256.slice(0, DIGITS_SHOWN)} ok`,
  ];
}

/** The forum's mistakes, repeated; they are no part of the demo's writes: a machine that does not allow them is no failure. */
async function explain(directory: string, forum: WriteResult): Promise<void> {
  const { repeatForumProgram } = await import('../demo/forum.ts');
  const { forumStory } = await import('../demo/story.ts');
  try {
    const story = forumStory(repeatForumProgram(directory, readLibaio()), forum);
    print('');
    print(ScreenText.lines(story));
  } catch (error) {
    say(`the forum's mistakes cannot be repeated here: ${toWire(error).message}`);
  }
}
