/** The server's log: where it is, when a new one is begun, and its last lines for the message of a failed start. */
import { closeSync, openSync, readSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';

const LOG_BYTES_MAX = 1_048_576;
const TAIL_BYTES = 2000;

export function logFileOf(directory: string): string {
  return join(directory, 'redis.log');
}

/** Begins a new log if the old one has grown large; returns the size of the one in use. */
export function rotateLog(logFile: string): number {
  const size = statSync(logFile, { throwIfNoEntry: false })?.size ?? 0;
  if (size < LOG_BYTES_MAX) return size;
  renameSync(logFile, `${logFile}.1`);
  return 0;
}

/** What the server of `directory` has logged from byte `start` on, cut to its last lines; empty if it cannot be read. */
export function logTail(directory: string, start: number): string {
  let descriptor: number | null = null;
  try {
    const file = logFileOf(directory);
    descriptor = openSync(file, 'r');
    const from = Math.max(start, statSync(file).size - TAIL_BYTES);
    const tail = Buffer.alloc(TAIL_BYTES);
    const text = tail.toString('utf8', 0, readSync(descriptor, tail, 0, TAIL_BYTES, from));
    return from > start ? text.slice(text.indexOf('\n') + 1) : text;
  } catch {
    return '';
  } finally {
    if (descriptor !== null) closeSync(descriptor);
  }
}

/** True if the server that wrote this log ended for want of space. */
export const diedOfSpace = (log: string): boolean => /No space left on device/i.test(log.slice(-500));
