/**
 * What can end a command early, the exit code each stands for, and the one line a person reads.
 *
 * Every start of the command line loads this, so it loads nothing large itself.
 */
import { constants } from 'node:os';
import type { WireError } from '@penstock/contract';

const EXIT_OK = 0;
/** The write, or whatever else was asked for, failed. */
export const EXIT_FAILED = 1;
/** The command line or the request cannot be carried out as it stands: repeating it ends the same way. */
const EXIT_USAGE = 2;
/** Shells add the number of the signal that ended a command. */
const EXIT_SIGNAL = 128;

/** The command line asks for something that does not go together. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
  readonly code = 'EUSAGE';
  readonly retryable = false;
}

/** A signal asked the command to stop. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
  readonly code = 'EINTERRUPTED';
  readonly retryable = true;
  readonly signal: NodeJS.Signals;

  constructor(signal: NodeJS.Signals) {
    super(`stopped by ${signal}`);
    this.signal = signal;
  }

  get exitCode(): number {
    return EXIT_SIGNAL + constants.signals[this.signal];
  }
}

/** An error that has been reported already: only its exit code is left. */
export class AlreadyReported extends Error {
  readonly exitCode: number;

  constructor(exitCode: number) {
    super('already reported');
    this.exitCode = exitCode;
  }
}

/** The code of any error, one of another realm too. */
const codeOf = (error: unknown): string =>
  typeof error === 'object' && error !== null ? String(Reflect.get(error, 'code')) : '';

/** True for what commander throws: it has printed its own message, or the help that was asked for. */
export function isCommanderError(error: unknown): error is Error & { code: string; exitCode: number } {
  return error instanceof Error && codeOf(error).startsWith('commander.') && 'exitCode' in error;
}

/** The exit code that `error` stands for. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof Interrupted || error instanceof AlreadyReported) return error.exitCode;
  if (isCommanderError(error)) return error.exitCode === 0 ? EXIT_OK : EXIT_USAGE;
  return USAGE_CODES.has(codeOf(error)) ? EXIT_USAGE : EXIT_FAILED;
}

/** A request that no host can carry out, a command line that asks for nothing sensible, a job that is not there. */
const USAGE_CODES: ReadonlySet<string> = new Set(['EBADREQUEST', 'EUSAGE', 'ENOJOB', 'EBADURL']);

/** One line about `error`, and its hint on another if the message does not contain it. */
export async function describeFailure(error: unknown): Promise<string[]> {
  const { toWire } = await import('@penstock/contract');
  const { message, hint } = toWire(error);
  return hint === undefined || message.includes(hint) ? [message] : [message, `hint: ${hint}`];
}

/** `error` as JSON has it. */
export async function wireOf(error: unknown): Promise<WireError> {
  const { toWire } = await import('@penstock/contract');
  if (!isCommanderError(error)) return toWire(error);
  return toWire(new UsageError(error.message.replace(/^error: /, '')));
}

/** True if the environment asks for stacks: PENSTOCK_DEBUG, or DEBUG with "penstock" or "*" among its words. */
export function wantsStacks(env: NodeJS.ProcessEnv): boolean {
  if (env['PENSTOCK_DEBUG']) return true;
  return (env['DEBUG'] ?? '').split(/[\s,]+/).some((word) => word === '*' || /^penstock(:|$)/.test(word));
}
