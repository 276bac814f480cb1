/** Continues a write through the page cache, once the file system has refused direct I/O. */
import { DIRECT_REFUSED, type RefusingDevices, reopenBuffered } from '../device/direct-refused.ts';
import { lockAlone } from '../attempt/lock.ts';
import type { Target } from './target.ts';

/**
 * Opens a locked file anew without O_DIRECT, and locks it again, since the lock is lost with the old open file. Nothing of it
 * may be in flight.
 * @throws IoError EBUSY if another write has locked it in between
 */
export function reopenLocked({ fd, path }: Pick<Target, 'fd' | 'path'>): void {
  reopenBuffered(fd, path);
  lockAlone(fd, path);
}

/** From now on the target is written through the page cache. Nothing of it may be in flight. @throws IoError as reopenLocked() */
export function becomeBuffered(target: Target, devices: RefusingDevices): void {
  reopenLocked(target);
  target.direct = false;
  target.bypassesCache = false;
  target.modeReason = target.isKept ? DIRECT_REFUSED : `${target.modeReason}; ${DIRECT_REFUSED}`;
  target.flushedTogether = false; // bytes in the page cache are in no journal
  // If the device reports an alignment, it has direct I/O: then the refusal is about this file, or was temporary.
  if (target.standing.directAlignment === null) devices.note(target.standing.device);
}
