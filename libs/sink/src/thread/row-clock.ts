/** One timer per thread for the rows that streams leave unfilled: wakes the loop when the bytes of one are to be written. */
import { performance } from 'node:perf_hooks';
import { clearInterval, setInterval } from 'node:timers';
import type { AioLoop } from '@penstock/aio';

/** A row that a stream leaves unfilled. */
interface TimedRow {
  /** How long bytes may wait in it, in milliseconds; Infinity for ever. */
  readonly flushAfterMs: number;
  /** True if its bytes are to be written now, at `nowMs` of performance.now(). */
  isDue(nowMs: number): boolean;
}

/** The timer. */
export class RowClock {
  readonly #loop: Pick<AioLoop, 'wake'>;
  readonly #rows = new Set<TimedRow>();
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(loop: Pick<AioLoop, 'wake'>) {
    this.#loop = loop;
  }

  add(row: TimedRow): void {
    if (row.flushAfterMs === Number.POSITIVE_INFINITY) return;
    this.#rows.add(row);
    this.#restart();
  }

  remove(row: TimedRow): void {
    if (this.#rows.delete(row)) this.#restart();
  }

  /** Runs often enough that no row waits more than one and a half times as long as it may. */
  #restart(): void {
    clearInterval(this.#timer);
    if (this.#rows.size === 0) return;
    let shortest = Number.POSITIVE_INFINITY;
    for (const { flushAfterMs } of this.#rows) shortest = Math.min(shortest, flushAfterMs);
    this.#timer = setInterval(() => this.#check(), Math.max(1, Math.floor(shortest / 2)));
  }

  #check(): void {
    const now = performance.now();
    let due = false;
    for (const row of this.#rows) if (row.isDue(now)) due = true;
    if (due) this.#loop.wake();
  }
}
