/** Rates as people write them: "100MiB", "100MiB/s", 1048576; "none" and 0 are no limit. */
import { InvalidArgumentError } from 'commander';
import { parseSize } from '@penstock/contract';

/** Bytes per second; 0 is no limit. @throws InvalidArgumentError */
export function parseRate(text: string): number {
  if (text === 'none') return 0;
  try {
    return parseSize(/^\d+$/.test(text) ? Number(text) : text.replace(/\/s$/, ''));
  } catch {
    throw new InvalidArgumentError('Give bytes a second, like 100MiB or 1.5GB; 0 or none for no limit.');
  }
}

/** One of several `name=rate`. @throws InvalidArgumentError */
export function collectRootLimit(text: string, before: Record<string, number>): Record<string, number> {
  const [, name, rate] = /^([^=]+)=(.+)$/.exec(text) ?? [];
  if (name === undefined || rate === undefined) {
    throw new InvalidArgumentError('Give the name of a root and bytes a second, like captures=100MiB.');
  }
  if (Object.hasOwn(before, name)) throw new InvalidArgumentError(`The root "${name}" is limited twice.`);
  return { ...before, [name]: parseRate(rate) };
}
