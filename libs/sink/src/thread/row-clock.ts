/** One timer of a thread: has the rows looked at that streams leave unfilled, and runs the loop where one is to go out. */
import { performance } from 'node:perf_hooks';
import { clearInterval, setInterval } from 'node:timers';
import type { AioLoop } from '@penstock/aio';

/** A row that a stream leaves unfilled. */
interface TimedRow {
  /** How long bytes may wait in it, in milliseconds. */
  readonly flushAfterMs: number;
  /** True if its bytes are to be written now, at `nowMs` of performance.now(). */
  look(nowMs: number): boolean;
}

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

  /** Often enough that none waits for more than half as long again as it should. */
  #restart(): void {
    clearInterval(this.#timer);
    if (this.#rows.size === 0) return;
    let shortest = Number.POSITIVE_INFINITY;
    for (const { flushAfterMs } of this.#rows) shortest = Math.min(shortest, flushAfterMs);
    this.#timer = setInterval(() => this.#look(), Math.max(1, Math.floor(shortest / 2)));
  }

  #look(): void {
    const now = performance.now();
    let due = false;
    for (const row of this.#rows) if (row.look(now)) due = true;
    if (due) this.#loop.wake();
  }
}
