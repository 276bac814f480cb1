/**
 * The lane's end of a row ring: bytes that another thread brings while the write runs. It wakes the lane when they come,
 * fails it when they never will, and sees to it that no producer writes into rows that are somebody else's.
 */
import { constants } from 'node:os';
import { setTimeout } from 'node:timers';
import { IoError } from '@penstock/contract';
import type { AioLoop } from '@penstock/aio';
import { type RingBeginning, RingConsumer, type RingOpening, type RingOutlet, type RowExtent } from '@penstock/matrix';
import type { FileDigest } from '@penstock/digest';
import { Arrivals } from '../rows/arrivals.ts';
import type { RowMemory } from '../thread/row-memory.ts';
import type { StopClock } from '../thread/stop-clock.ts';

const { EPIPE } = constants.errno;

/** A producer on another thread is let finish the copy it has begun, before its row may be another write's. */
const QUIET_LOOK_MS = 5;

export class Intake {
  /** Where the bytes come out. */
  readonly ring: RingConsumer;
  readonly #loop: AioLoop;
  readonly #stopClock: StopClock;

  /** @param fail tells the lane that the bytes will never be whole */
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

  /** The write has its file: its producer may say from where on its bytes come, and ask for rows. */
  begin(opening: RingOpening): void {
    this.ring.begin(opening);
  }

  /** From where on the bytes come, and how many there are; null while a producer that says so has not. */
  beginning(): RingBeginning | null {
    return this.ring.beginning();
  }

  /** What hands out its rows as they fill. */
  arrivals(rowCount: number, digest: FileDigest | null, headBytes: number, declaredSize: number | null): Arrivals {
    return new Arrivals(this.ring, rowCount, digest, headBytes, declaredSize);
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

/** Closes the ring, and gives its rows back if there are any, as soon as no producer copies: at once, or some milliseconds later. */
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
