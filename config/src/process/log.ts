/**
 * What a process that runs by itself says: lines on standard error, for a terminal, a journal or whoever started it. The
 * one place that writes there, and a line stays one, whatever names, paths and reasons of others are in it.
 */
import { escapeControls, toWire } from '@penstock/contract';

/** Says `text`, behind the name of the program. */
export type Log = (text: string) => void;

/** `program`: "penstock host". */
export const logOf =
  (program: string): Log =>
  (text) => {
    process.stderr.write(`${program}: ${escapeControls(text)}\n`);
  };

/** Says of errors what went wrong, and what to do about it where the message does not. */
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
  // A line of what stood there must not pass for one of ours.
  outputError: (text: string, write: (text: string) => void): void => write(text.replaceAll(/\n(?=.)/gs, '\n  ')),
};

const escapeLines = (text: string): string => text.split('\n').map(escapeControls).join('\n');
