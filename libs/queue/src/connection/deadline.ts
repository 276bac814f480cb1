/** Waiting for something to end, whichever way, no longer than so many milliseconds. */
import { inTime } from '@penstock/contract';

/** Whether the promise settled, one way or the other, within `ms`. It is not stopped if it did not. */
export function within(ms: number, promise: Promise<unknown>): Promise<boolean> {
  const settled = (): boolean => true;
  return inTime(ms, promise.then(settled, settled), () => false);
}
