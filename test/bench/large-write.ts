/** The subject that several cases share: one large write through the queue, from add to completed. */
import { performance } from 'node:perf_hooks';
import type { System } from '../system.ts';
import { cpuSecondsOf } from './cpu.ts';
import type { Runner } from './pairs.ts';

export interface LargeWrite {
  sizeBytes: number;
  rows: number;
  rowBytes: number;
  /** What is written; stamped rows by default. */
  source?: Record<string, unknown>;
}

/** A host of one thread that is ready, and the write to run on it, always on a fresh file. CPU is host's and Redis's. */
export async function openLargeWrite(
  system: System,
  { sizeBytes, rows, rowBytes, source = { kind: 'pattern', pattern: 'stamp', seed: 7 } }: LargeWrite,
): Promise<{ subject: Runner; close: () => Promise<void> }> {
  const host = await system.host(['--threads', '1']);
  const redisPid = await system.redisPid();
  const cpu = (): number => cpuSecondsOf(host.child.pid!) + cpuSecondsOf(redisPid);
  return {
    subject: async () => {
      system.remove('large.dat');
      const cpuBefore = cpu();
      const started = performance.now();
      const job = await system.add({ path: 'large.dat', size: sizeBytes, matrix: { rows, rowBytes }, source });
      const { returnvalue, failedReason } = await system.finished(job);
      const seconds = (performance.now() - started) / 1000;
      if (returnvalue?.bytes !== sizeBytes) throw new Error(`the write failed: ${failedReason}`);
      return { rate: sizeBytes / 1_048_576 / seconds, cpuSeconds: cpu() - cpuBefore };
    },
    close: async () => {
      await host.end();
    },
  };
}
