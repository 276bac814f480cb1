/** A moment as people give it: how long ago, or when. */
import { InvalidArgumentError } from 'commander';
import { duration } from '@penstock/config';

/** Milliseconds since 1970. @throws InvalidArgumentError */
export function parseSince(text: string): number {
  if (/^\d{4}-/.test(text)) {
    const time = Date.parse(text);
    if (!Number.isNaN(time)) return time;
    throw new InvalidArgumentError('Give a time like 2026-11-28T03:00, or how long ago, like 2h.');
  }
  return Date.now() - duration(text);
}
