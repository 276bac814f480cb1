/**
 * What the command line says and where: results to standard output, everything else to standard error.
 *
 * A reader that leaves (`penstock doctor | head -1`) must not end a command half-way: once a stream is broken, what is
 * written to it is dropped and the command goes on to its orderly end.
 */
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

/** Prints a result: `text` and a newline to standard output. */
export function print(text: string): void {
  if (!gone.signal.aborted) process.stdout.write(`${text}\n`);
}

/** Prints `value` as JSON: one line, so that a line is a whole answer. */
export function printJson(value: unknown): void {
  print(JSON.stringify(value));
}

/** Tells something beside the result, on standard error. */
export function say(text: string): void {
  process.stderr.write(`penstock: ${text}\n`);
}
