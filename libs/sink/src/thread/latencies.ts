/** How long the iocbs of one write took: a number for a file of one row, and a histogram from the second on. */
import { type RecordableHistogram, createHistogram } from 'node:perf_hooks';
import type { LatencySummary } from '@penstock/contract';
import { ThreadTally } from '@penstock/matrix';

/** The longest latency that a histogram resolves: an hour, in microseconds. */
const LATENCY_US_MAX = 3_600_000_000;

/** The histograms of a thread, made once and used again: each takes tens of kilobytes. */
export class Histograms {
  readonly #idle: RecordableHistogram[] = [];
  /** Counts what all writes of the thread record. */
  readonly tally: ThreadTally;

  constructor(tally: ThreadTally = new ThreadTally()) {
    this.tally = tally;
  }

  borrow(): RecordableHistogram {
    return this.#idle.pop() ?? createHistogram({ lowest: 1, highest: LATENCY_US_MAX, figures: 2 });
  }

  giveBack(histogram: RecordableHistogram): void {
    histogram.reset();
    this.#idle.push(histogram);
  }
}

/** Those of one write. */
export class Latencies {
  readonly #histograms: Histograms;
  #histogram: RecordableHistogram | null = null;
  /** The only one so far, in microseconds; 0 before it. */
  #onlyUs = 0;

  constructor(histograms: Histograms) {
    this.#histograms = histograms;
  }

  /** @param result what the kernel returned: bytes, or a negative errno */
  record(ms: number, result: number): void {
    const us = Math.max(1, Math.round(ms * 1000));
    this.#histograms.tally.count(result, us);
    if (this.#histogram === null && this.#onlyUs === 0) {
      this.#onlyUs = us;
      return;
    }
    if (this.#histogram === null) {
      this.#histogram = this.#histograms.borrow();
      this.#histogram.record(this.#onlyUs);
    }
    this.#histogram.record(us);
  }

  summary(): LatencySummary {
    const only = this.#onlyUs;
    const histogram = this.#histogram;
    if (histogram === null) return { count: only === 0 ? 0 : 1, p50: only, p90: only, p99: only, max: only };
    return {
      count: histogram.count,
      p50: histogram.percentile(50),
      p90: histogram.percentile(90),
      p99: histogram.percentile(99),
      max: histogram.max,
    };
  }

  /** Gives the histogram back; nothing may be recorded or read after that. */
  end(): void {
    if (this.#histogram !== null) this.#histograms.giveBack(this.#histogram);
    this.#histogram = null;
  }
}
