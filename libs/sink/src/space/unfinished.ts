/** What becomes of an existing file when a write into it fails: its size is set right again. */
import { native } from '@penstock/native';
import { removeCheckpoint } from '../attempt/checkpoint.ts';
import type { SeenGrowth } from './seen-growth.ts';
import type { Target } from '../target/target.ts';

/**
 * To be called when a write has failed and nothing of it is in flight. What was overwritten stays so. What was appended is
 * cut off again if `takesBack`; else a file that has grown ends with the last byte that was written without a gap, or where
 * it ended before.
 * @param end the file offset behind that byte; null if no row was begun
 * @param growth null for a file that has not grown
 */
export function leaveUnfinished(
  target: Target,
  takesBack: boolean,
  end: number | null,
  growth: SeenGrowth | null,
): void {
  if (target.unpublishedName !== null) return; // closeTarget() removes it
  if (growth === null || takesBack) {
    // The checkpoint covers bytes that are cut off next: no attempt may go on from it.
    target.lengthening?.takeBack(() => removeCheckpoint(target.fd));
    growth?.forget();
    return;
  }
  try {
    growth.fixEnd(end ?? 0, false);
    if (target.forgetsFreed) native.fsync(target.fd); // other files may get the space that was reserved ahead
    target.lengthening?.finish(Math.max(0, (end ?? 0) - target.baseOffset));
  } catch {
    // The write's own failure is reported. The file keeps the record of what is left, and the next write in it cuts that off.
  }
}
