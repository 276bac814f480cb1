/** `penstock`: runs one command, reports in one line what went wrong, and ends with its exit code. */
import { createRequire } from 'node:module';
import { assertUtf8Arguments } from '@penstock/config/utf8-arguments';
import {
  AlreadyReported,
  describeFailure,
  exitCodeOf,
  isCommanderError,
  wantsStacks,
  wireOf,
} from './terminal/failures.ts';
import { printJson, say, sayLine, surviveBrokenPipes } from './terminal/output.ts';
import { runProgram } from './program.ts';
import { ScreenText } from './terminal/screen-text.ts';

/** Node's exit code of a program that ends while it still waits: what was asked for may not be done. */
const UNSETTLED = 13;

const { version } = createRequire(import.meta.url)('../package.json') as { version: string };

async function run(args: string[]): Promise<number> {
  try {
    assertUtf8Arguments(args, process.env);
    await runProgram(args, version);
    return 0;
  } catch (error) {
    await report(error, args);
    return exitCodeOf(error);
  }
}

async function main(): Promise<void> {
  process.exitCode = UNSETTLED;
  process.exitCode = await run(process.argv.slice(2));
}

async function report(error: unknown, args: readonly string[]): Promise<void> {
  if (error instanceof AlreadyReported) return;
  if (isCommanderError(error) && exitCodeOf(error) === 0) return;
  // commander has printed its own errors of parsing, but not those of settings from the environment.
  const printed = isCommanderError(error) && error.constructor.name === 'CommanderError';
  if (!printed) {
    const [message, ...more] = await describeFailure(error);
    say(message ?? '');
    for (const text of more) sayLine(ScreenText.lines(`  ${text}`, '  '));
  }
  if (args.includes('--json')) {
    printJson({ ok: false, error: await wireOf(error) });
  }
  if (wantsStacks(process.env) && error instanceof Error) sayLine(ScreenText.lines(error.stack ?? ''));
}

surviveBrokenPipes();
void main();
