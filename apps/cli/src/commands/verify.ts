/** `penstock verify`: reads a file back by a path of its own and compares it with what it should hold. */
import { Command, Option } from 'commander';
import { wholeNumber } from '@penstock/config';
import { PATTERN_NAMES, type PatternName, SIZE_BYTES_MAX, parseSize } from '@penstock/contract';
import { AlreadyReported, EXIT_FAILED, UsageError } from '../terminal/failures.ts';
import { formatExactBytes, formatRate } from '../terminal/figures.ts';
import { takeInterrupts } from '../terminal/interrupts.ts';
import { print, printJson, say, noteScreen } from '../terminal/output.ts';
import { createProgressLine, type ProgressLine, silentProgress } from '../terminal/progress-line.ts';
import type { ReadBack, ReadBackOptions } from '../verify/read-back.ts';
import { showReading } from '../verify/reading-line.ts';
import { watchReading } from '../verify/silent-reading.ts';

interface VerifyOptions {
  pattern?: PatternName;
  seed?: number;
  size?: string;
  offset?: string;
  against?: string;
  json?: boolean;
}

const SEED_MAX = 0xffff_ffff;

const EXAMPLES = `
Examples:
  $ penstock verify /srv/captures/run-42.dat --pattern stamp --seed 7 --size 1GiB
  $ penstock verify copy.iso --against original.iso

Reads with plain buffered reads, nothing of the way the file was written. Exit codes: 0 equal, 1 different, 2 wrong usage.`;

export function verifyCommand(): Command {
  return new Command('verify')
    .description('Read a file back and compare it, byte by byte, with a pattern or with another file.')
    .argument('<file>', 'the file, by its own path')
    .addOption(new Option('-p, --pattern <pattern>', 'what its bytes should be').choices(PATTERN_NAMES))
    .addOption(new Option('--seed <n>', 'the seed of the pattern (default: 0)').argParser(wholeNumber(0, SEED_MAX)))
    .option('-s, --size <size>', 'the size it should have')
    .option('--offset <size>', 'begin here; what is before is not read')
    .addOption(new Option('--against <file>', 'the file it should equal').conflicts(['pattern', 'seed', 'size']))
    .option('--json', 'print one JSON object')
    .addHelpText('after', EXAMPLES)
    .action(verify);
}

async function verify(path: string, options: VerifyOptions): Promise<void> {
  if (options.pattern === undefined && options.against === undefined) {
    throw new UsageError('say what the file should hold: --pattern with --seed, or --against another file');
  }
  const interrupts = takeInterrupts();
  const line = options.json === true && !noteScreen().isTTY ? silentProgress(() => {}) : await createProgressLine();
  try {
    const { describeDifference } = await import('../verify/read-back.ts');
    const { file, against } = await read(path, options, line, interrupts.signal);
    line.clear();
    const skipped = options.offset === undefined ? 0 : bytesOf('--offset', options.offset);
    if (skipped > file.fileBytes)
      throw new UsageError(`--offset ${skipped} is beyond the file's ${file.fileBytes} bytes`);
    const equal = file.mismatch === null;
    if (options.json === true) {
      const { fileBytes, bytes, sha256, mismatch } = file;
      const other = against === undefined ? {} : { against: { path: options.against, sha256: against.sha256 } };
      printJson({ ok: equal, path, fileBytes, bytes, sha256, mismatch, ...other });
    } else {
      printReading(path, file);
      if (against !== undefined && options.against !== undefined) printReading(options.against, against);
      const what = options.against ?? `the pattern ${options.pattern}, seed ${options.seed ?? 0}`;
      print(
        file.mismatch === null
          ? `ok: every byte is as ${what} has it`
          : `different: ${describeDifference(file.mismatch)}`,
      );
    }
    if (!equal) throw new AlreadyReported(EXIT_FAILED);
  } finally {
    line.clear();
    interrupts.release();
  }
}

async function read(
  path: string,
  options: VerifyOptions,
  line: ProgressLine,
  signal: AbortSignal,
): Promise<{ file: ReadBack; against?: ReadBack }> {
  const paths = options.against === undefined ? [path] : [path, options.against];
  const silence = watchReading(paths, say, signal);
  const show = showReading(path, line);
  const onProgress = (bytes: number, totalBytes: number): void => {
    silence.note();
    show(bytes, totalBytes);
  };
  try {
    return await readWith(path, options, { onProgress, signal });
  } finally {
    silence.end();
  }
}

async function readWith(
  path: string,
  options: VerifyOptions,
  told: Pick<ReadBackOptions, 'onProgress' | 'signal'>,
): Promise<{ file: ReadBack; against?: ReadBack }> {
  const { compareFiles, readBack } = await import('../verify/read-back.ts');
  const shared: Pick<ReadBackOptions, 'offset' | 'onProgress' | 'signal'> = {
    ...told,
    offset: options.offset === undefined ? 0 : bytesOf('--offset', options.offset),
  };
  if (options.against !== undefined) return compareFiles(path, options.against, shared);
  if (options.pattern === undefined) throw new UsageError('--seed, --size and --offset go with --pattern');
  const file = await readBack({
    ...shared,
    path,
    source: { pattern: options.pattern, seed: options.seed ?? 0 },
    ...(options.size === undefined ? {} : { size: bytesOf('--size', options.size) }),
  });
  return { file };
}

function printReading(path: string, { bytes, sha256, durationMs }: ReadBack): void {
  print(`${path}: ${formatExactBytes(bytes)}, read at ${formatRate((bytes / durationMs) * 1000)}`);
  print(`sha256 ${sha256}`);
}

function bytesOf(option: string, text: string): number {
  try {
    return parseSize(text);
  } catch {
    throw new UsageError(`${option} ${text} is no size: give 0 to ${SIZE_BYTES_MAX} bytes, like 4096, 1MiB or 1.5GB`);
  }
}
