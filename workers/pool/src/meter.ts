/** Turns readings of a job's control block into the progress that dashboards show. */
import { performance } from 'node:perf_hooks';
import type { WriteProgress } from '@penstock/contract';
import type { JobReading } from '@penstock/matrix';

/** Weight of the newest interval in the speed that the remaining time is judged by: steady, yet it follows a change. */
const NEWEST_WEIGHT = 0.4;

export class ProgressMeter {
  readonly #host: string | undefined;
  #lastAt: number = performance.now();
  #lastBytes = 0;
  #steadyBytesPerSecond = 0;

  /** @param host the name that the progress tells; none in a program that writes for itself */
  constructor(host?: string) {
    this.#host = host;
  }

  /** The progress that `reading` shows, with the speed since the last call. */
  progress(reading: JobReading): WriteProgress {
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
    // 100 is said only of a file that is in its place: the last flush may still fail.
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
    };
  }
}
