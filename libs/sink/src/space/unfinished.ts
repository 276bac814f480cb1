/** What becomes of a file that is not a write's own, when that write fails: of no length that nobody asked for. */
import { native } from '@penstock/native';
import type { SeenGrowth } from './seen-growth.ts';
import { type Target, takeBack } from '../target/target.ts';

/**
 * Nothing may be in flight. What was overwritten stays so. What was appended is cut off again where `takesBack` says so;
 * else a file that has grown ends behind the last byte that was written without a gap, or where it ended before.
 * @param end the file offset of that byte; null where no row was begun
 * @param growth of a file that has grown
 */
export function leaveUnfinished(
  target: Target,
  takesBack: boolean,
  end: number | null,
  growth: SeenGrowth | null,
): void {
  if (target.unpublishedName !== null) return; // it goes
  if (growth === null || takesBack) {
    takeBack(target);
    growth?.forget();
    return;
  }
  try {
    growth.settle(end ?? 0, false);
    if (target.forgetsFreed) native.fsync(target.fd); // what was reserved ahead is another file's from now on
    target.lengthening?.finish(Math.max(0, (end ?? 0) - target.baseOffset));
  } catch {
    // The write's own failure is told; what is left is recorded with the file, and the next write in it cuts it.
  }
}
