/**
 * The lane's end of a row ring, into which a producer, often on another thread, puts bytes while the write runs: wakes the
 * lane when they come, fails it when they never will, and gives no row away while the producer may still write into it.
 */
import { constants } from 'node:os';
import { setTimeout } from 'node:timers';
import { IoError } from '@penstock/contract';
import type { AioLoop } from '@penstock/aio';
import { RingConsumer, type RingOutlet, type RowExtent } from '@penstock/matrix';
import type { RowMemory } from '../thread/row-memory.ts';
import type { StopClock } from '../thread/stop-clock.ts';

const { EPIPE } = constants.errno;

/** A producer that is copying is let finish before its row goes to another write: it is looked at again after this time. */
const QUIET_LOOK_MS = 5;

export class Intake {
  /** Where the bytes come out. */
  readonly ring: RingConsumer;
  readonly #loop: AioLoop;
  readonly #stopClock: StopClock;

  /** @param fail fails the lane: the bytes will never be complete */
  constructor(outlet: RingOutlet, loop: AioLoop, stopClock: StopClock, path: string, fail: (error: unknown) => void) {
    this.#loop = loop;
    this.#stopClock = stopClock;
    const failed = (error: unknown): void => {
      fail(error);
      loop.wake(); // which forgets the lane, and offers its rows to others
    };
    this.ring = new RingConsumer(outlet, {
      arrived: () => loop.wake(),
      failed,
      abandoned: () => {
        const hint = 'What sends the bytes went away before it said that they were all.';
        failed(new IoError({ syscall: 'stream', errno: -EPIPE, path, hint }));
      },
    });
    // Nothing else runs a lane that has nothing in flight and gets no bytes.
    stopClock.add();
  }

  /** Gives the rows back, none of which is in flight. */
  returnRows(extent: RowExtent, rowMemory: RowMemory): void {
    returnWhenQuiet(this.ring, extent, rowMemory, this.#loop);
  }

  close(): void {
    returnWhenQuiet(this.ring, null, null, this.#loop);
    this.#stopClock.remove();
  }
}

/**
 * Closes the ring and gives its rows back, if it has any, as soon as the producer is not copying: at once, or some
 * milliseconds later.
 */
export function returnWhenQuiet(
  ring: Pick<RingConsumer, 'close'>,
  extent: RowExtent | null,
  rowMemory: RowMemory | null,
  loop: Pick<AioLoop, 'wake'>,
): void {
  if (ring.close()) {
    if (extent !== null) rowMemory?.release(extent);
    return;
  }
  setTimeout(() => {
    returnWhenQuiet(ring, extent, rowMemory, loop);
    loop.wake(); // another write may have waited for these rows
  }, QUIET_LOOK_MS);
}
