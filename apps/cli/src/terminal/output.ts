/**
 * What the command line prints and where: results to standard output, everything else to standard error. The one file
 * that writes to either: whatever is in a text, a terminal is given nothing to obey (screen-text.ts).
 *
 * A reader that leaves (`penstock doctor | head -1`) must not end a command half-way: once a stream is broken, what is
 * written to it is dropped and the command goes on to its orderly end.
 */
import { printableJson } from '@penstock/contract/print';
import { ScreenText, screenText } from './screen-text.ts';

const gone = new AbortController();

/** Aborted once nobody reads standard output any more. */
export const readerGone: AbortSignal = gone.signal;

/** To be called once, before anything is written. */
export function surviveBrokenPipes(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    gone.abort();
  });
  process.stderr.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}

/** Prints a result: `text` and a newline to standard output. A plain text is one line. */
export function print(text: string | ScreenText): void {
  if (!gone.signal.aborted) process.stdout.write(`${screenText(text).text}\n`);
}

/** Prints `value` as JSON: one line, so that a line is a whole answer. */
export function printJson(value: unknown): void {
  if (!gone.signal.aborted) process.stdout.write(`${printableJson(value)}\n`);
}

/** Reports something beside the result, on standard error. Lines after the first are indented. */
export function say(text: string): void {
  sayLine(ScreenText.lines(`penstock: ${text}`, '  '));
}

/** A line on standard error as it is: of a process that this one started, or beside a progress line. */
export function sayLine(text: string | ScreenText): void {
  process.stderr.write(`${screenText(text).text}\n`);
}

/** For commander: its messages repeat parts of the command line, and its help has many lines. */
export const commandOutput = {
  writeOut: (text: string): void => {
    process.stdout.write(ScreenText.lines(text).text);
  },
  writeErr: (text: string): void => {
    process.stderr.write(ScreenText.lines(text).text);
  },
  // A line that was part of the command line must not pass for one of ours.
  outputError: (text: string, write: (text: string) => void): void =>
    write(text.replace(/^error: /, 'penstock: ').replaceAll(/\n(?=.)/gs, '\n  ')),
};

/** What a standard stream leads to. */
export interface Screen {
  isTTY: boolean;
  /** 80 if a terminal does not report its width, or reports 0. */
  columns: number;
  hasColors: boolean;
}

const screenOf = (stream: NodeJS.WriteStream): Screen => ({
  isTTY: stream.isTTY,
  columns: stream.columns || 80,
  hasColors: stream.isTTY && stream.hasColors(),
});

export const resultScreen = (): Screen => screenOf(process.stdout);
/** Standard error: progress, notes, errors. */
export const noteScreen = (): Screen => screenOf(process.stderr);

/** A line on standard error that is redrawn. */
export interface LiveLine {
  draw(text: ScreenText): void;
  /** Prints a line that stays, above it. */
  persist(text: ScreenText): void;
  clear(): void;
}

export async function liveLine(): Promise<LiveLine> {
  const { createLogUpdate } = await import('log-update');
  // The cursor stays: hiding it would have to be undone on every way a process can end.
  const drawOn = createLogUpdate(process.stderr, { showCursor: true });
  return {
    draw: ({ text }) => drawOn(text),
    persist: ({ text }) => drawOn.persist(text),
    clear: () => {
      drawOn.clear();
      drawOn.done();
    },
  };
}
