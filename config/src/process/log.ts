/**
 * The log of a process that runs by itself: lines on standard error, for a terminal, a journal or the process that started
 * it. The one place that writes there; a line stays one line, whatever foreign names, paths and reasons are in it.
 */
import { escapeControls, toWire } from '@penstock/contract';

/** Logs `text`, behind the name of the program. */
export type Log = (text: string) => void;

/** `program`: "penstock host". */
export const logOf =
  (program: string): Log =>
  (text) => {
    process.stderr.write(`${program}: ${escapeControls(text)}\n`);
  };

/** Logs an error, with its hint unless the message has that already. */
export const complainTo =
  (log: Log) =>
  (error: unknown): void => {
    const { message, hint } = toWire(error);
    log(hint === undefined || message.includes(hint) ? message : `${message}; ${hint}`);
  };

/** For commander: its messages repeat what stood on the command line, and its help has many lines. */
export const commandOutput = {
  writeOut: (text: string): void => {
    process.stdout.write(escapeLines(text));
  },
  writeErr: (text: string): void => {
    process.stderr.write(escapeLines(text));
  },
  // A line that is repeated from the command line must not pass for one of ours.
  outputError: (text: string, write: (text: string) => void): void => write(text.replaceAll(/\n(?=.)/gs, '\n  ')),
};

const escapeLines = (text: string): string => text.split('\n').map(escapeControls).join('\n');
