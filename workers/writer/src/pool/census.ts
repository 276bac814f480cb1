/** What the writer threads of a pool do, read from the words that they share with this thread. */
import { type Control, TallySum, ThreadTallies } from '@penstock/matrix';

/** What the threads of one pool or of several do now, and have done so far. */
export class PoolSum {
  /** Threads that run. */
  threads = 0;
  /** Writes that run. */
  running = 0;
  aioContexts = 0;
  /** iocbs in flight. */
  inFlight = 0;
  readonly tally: TallySum = new TallySum();
}

export class Census {
  readonly tallies: ThreadTallies;
  readonly #control: Control;

  constructor(control: Control) {
    this.#control = control;
    this.tallies = new ThreadTallies(control.threads);
  }

  addTo(sum: PoolSum): void {
    for (let index = 0; index < this.tallies.threads; index += 1) {
      const { context, inFlight, threadId } = this.#control.thread(index);
      if (context !== 0) sum.aioContexts += 1;
      sum.inFlight += inFlight;
      this.tallies.of(index).addTo(sum.tally, threadId !== -1);
    }
  }
}
