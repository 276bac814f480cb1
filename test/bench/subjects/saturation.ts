/** A disk kept busy: large writes through the queue, each followed by the next, until told to stop. */
import { performance } from 'node:perf_hooks';
import type { System } from '../../support/system.ts';
import { MIB, stamped } from './large-write.ts';

export interface Saturation {
  /** Lets the writes that run come to their end; MiB a second of all of them, from the first to the last. */
  stop(): Promise<number>;
}

/** Keeps `files` writes of `sizeBytes` running. They go first in the queue, whatever waits there. */
export function saturate(system: System, { files, sizeBytes }: { files: number; sizeBytes: number }): Saturation {
  const started = performance.now();
  const stopping = new AbortController();
  let writtenBytes = 0;
  const keepWriting = async (path: string): Promise<void> => {
    do {
      const request = { path, size: sizeBytes, matrix: { rows: 32, rowBytes: MIB }, source: stamped };
      const { returnvalue, failedReason } = await system.finished(await system.add(request, { lifo: true }));
      if (returnvalue?.bytes !== sizeBytes) throw new Error(`a large write failed: ${failedReason}`);
      writtenBytes += sizeBytes;
    } while (!stopping.signal.aborted);
  };
  // Settled, for a failure may come long before anyone stops it.
  const ended = Promise.allSettled(Array.from({ length: files }, (_, index) => keepWriting(`saturating-${index}.dat`)));
  return {
    async stop() {
      stopping.abort();
      for (const end of await ended) if (end.status === 'rejected') throw end.reason;
      return writtenBytes / MIB / ((performance.now() - started) / 1000);
    },
  };
}
