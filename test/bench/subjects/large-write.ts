/** The subject that several cases share: large writes through the queue, from add to completed. */
import { performance } from 'node:perf_hooks';
import type { System } from '../../support/system.ts';
import type { BenchHost } from './host.ts';
import type { Side } from '../pairs.ts';
import { accounted } from '../processes.ts';

export const MIB = 1_048_576;

/** Stamped rows: every byte is computed again for every row, so no memory stays untouched. */
export const stamped = { kind: 'pattern', pattern: 'stamp', seed: 7 };
/** Rows filled once, before they are first written, as the peers that have no source fill theirs. */
export const filledOnce = { kind: 'pattern', pattern: 'byte', seed: 7 };

export interface LargeWrite {
  /** Of all files together. */
  sizeBytes: number;
  /** The host's own choice by default. */
  matrix?: { rows: number; rowBytes: number };
  /** What is written; stamped rows by default. */
  source?: Record<string, unknown>;
  /** How many files the bytes go to, all written at once; 1 by default. */
  files?: number;
  /** Replace the files that the last run wrote; by default every run writes fresh ones. */
  overwrite?: boolean;
}

export function largeWriteSide(
  system: System,
  { pids }: BenchHost,
  { sizeBytes, matrix, source = stamped, files = 1, overwrite = false }: LargeWrite,
): Side {
  const names = Array.from({ length: files }, (_, index) => `large-${index}.dat`);
  const size = sizeBytes / files;
  const write = async (path: string): Promise<void> => {
    const job = await system.add({ path, size, source, ...(matrix && { matrix }) });
    const { returnvalue, failedReason } = await system.finished(job);
    if (returnvalue?.bytes !== size) throw new Error(`the write failed: ${failedReason}`);
  };
  return {
    async prepare() {
      if (!overwrite) for (const name of names) system.remove(name);
    },
    async run() {
      const { value: seconds, processes } = await accounted(pids, async () => {
        const started = performance.now();
        await Promise.all(names.map(write));
        return (performance.now() - started) / 1000;
      });
      return { rate: sizeBytes / MIB / seconds, processes, figures: {} };
    },
  };
}
