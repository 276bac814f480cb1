/** What a process holds that must not grow with the work it has done: memory, descriptors, threads, AIO contexts. */
import { readFileSync, readdirSync } from 'node:fs';
import { contextsOf } from '../aio-contexts.ts';

const MIB = 1_048_576;

/** Of a host and its Redis, at one moment. */
export interface Vitals {
  atMs: number;
  hostRssBytes: number;
  redisRssBytes: number;
  descriptors: number;
  threads: number;
  contexts: number;
}

/** Those of which not a single one more may be there at rest than before the work. */
export const COUNTS = ['descriptors', 'threads', 'contexts'] as const;
export const MEMORIES = ['hostRssBytes', 'redisRssBytes'] as const;

const rssBytes = (pid: number): number =>
  Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]) * 1024;

export function readVitals(hostPid: number, redisPid: number, atMs: number): Vitals {
  return {
    atMs,
    hostRssBytes: rssBytes(hostPid),
    redisRssBytes: rssBytes(redisPid),
    descriptors: readdirSync(`/proc/${hostPid}/fd`).length,
    threads: readdirSync(`/proc/${hostPid}/task`).length,
    contexts: contextsOf(hostPid),
  };
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[sorted.length >> 1] ?? 0;
}

/**
 * By how much a memory has grown from the first sample to the last: the median of the slopes of all pairs (Theil and Sen),
 * so that neither a garbage collection before the end nor a peak in the middle passes for a trend.
 */
export function growthBytes(samples: readonly Vitals[], of: (typeof MEMORIES)[number]): number {
  const slopes: number[] = [];
  for (const [index, one] of samples.entries()) {
    for (const other of samples.slice(index + 1)) slopes.push((other[of] - one[of]) / (other.atMs - one.atMs));
  }
  return median(slopes) * (samples.at(-1)!.atMs - samples[0]!.atMs);
}

/** What a memory may grow by: garbage collection and allocators leave more or less behind. */
export function growthBytesMax(samples: readonly Vitals[], of: (typeof MEMORIES)[number]): number {
  return Math.max(16 * MIB, 0.1 * median(samples.map((sample) => sample[of])));
}
