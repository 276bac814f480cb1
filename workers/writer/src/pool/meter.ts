/** Turns readings of a job's control block into the progress that dashboards show. */
import { performance } from 'node:perf_hooks';
import { formatBytes, type Phase, type WriteProgress } from '@penstock/contract';
import type { JobReading, RowsWaitedFor } from '@penstock/matrix';

/** Weight of the newest interval in the speed that the remaining time is judged by: steady, yet it follows a change. */
const NEWEST_WEIGHT = 0.4;

export class ProgressMeter {
  readonly #host: string | undefined;
  /** Row memory per thread. */
  readonly #rowBudgetBytes: number;
  #lastAt: number = performance.now();
  #lastBytes = 0;
  #steadyBytesPerSecond = 0;

  /**
   * @param rowBudgetBytes row memory per thread
   * @param host the name in the progress; absent in a program that writes for itself
   */
  constructor(rowBudgetBytes: number, host?: string) {
    this.#rowBudgetBytes = rowBudgetBytes;
    this.#host = host;
  }

  /** The progress that `reading` shows, with the speed since the last call. */
  progress(reading: JobReading, rows: RowsWaitedFor): WriteProgress {
    const now = performance.now();
    const seconds = (now - this.#lastAt) / 1000;
    const bytesPerSecond = seconds > 0 ? Math.max(0, reading.bytesWritten - this.#lastBytes) / seconds : 0;
    this.#steadyBytesPerSecond =
      this.#steadyBytesPerSecond === 0
        ? bytesPerSecond
        : this.#steadyBytesPerSecond * (1 - NEWEST_WEIGHT) + bytesPerSecond * NEWEST_WEIGHT;
    this.#lastAt = now;
    this.#lastBytes = reading.bytesWritten;
    const { bytesWritten, bytesDurable, totalBytes, inFlight, phase } = reading;
    const left = totalBytes - bytesWritten;
    // 100 only once the file is in its place: the last flush may still fail.
    const percent = totalBytes === 0 ? 0 : Math.min(99, Math.floor((bytesWritten / totalBytes) * 100));
    return {
      progress: phase === 'done' ? 100 : percent,
      bytesWritten,
      bytesDurable,
      totalBytes,
      bytesPerSecond: Math.round(bytesPerSecond),
      etaMs:
        this.#steadyBytesPerSecond > 0 && phase !== 'paused'
          ? Math.round((left / this.#steadyBytesPerSecond) * 1000)
          : null,
      inFlight,
      phase,
      ...(this.#host === undefined ? {} : { host: this.#host }),
      ...this.#note(phase, rows),
    };
  }

  /** What the write waits for, if it waits for rows. */
  #note(phase: Phase, { wantedBytes, usedBytes }: RowsWaitedFor): Pick<WriteProgress, 'note'> {
    if (phase !== 'waiting' || wantedBytes === 0) return {};
    const [wanted, used, budget] = [wantedBytes, usedBytes, this.#rowBudgetBytes].map((bytes) => formatBytes(bytes));
    return { note: `waiting for row memory: ${wanted} wanted, ${used} of the thread's ${budget} in use (--memory)` };
  }
}
