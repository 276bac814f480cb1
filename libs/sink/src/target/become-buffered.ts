/** A target that goes on through the page cache, once its file system has refused direct I/O. */
import { DIRECT_REFUSED, type RefusingDevices, reopenBuffered } from '../device/direct-refused.ts';
import { lockAlone } from '../attempt/lock.ts';
import type { Target } from './target.ts';

/**
 * Opens a locked file anew without O_DIRECT; nothing of it may be in flight. It is locked anew, and whoever was quicker has
 * the file.
 * @throws IoError EBUSY where another write has taken it
 */
export function reopenLocked({ fd, path }: Pick<Target, 'fd' | 'path'>): void {
  reopenBuffered(fd, path);
  lockAlone(fd, path);
}

/** Goes on writing the target through the page cache. Nothing of it may be in flight. @throws IoError as reopenLocked() */
export function becomeBuffered(target: Target, devices: RefusingDevices): void {
  reopenLocked(target);
  target.direct = false;
  target.bypassesCache = false;
  target.modeReason = target.isKept ? DIRECT_REFUSED : `${target.modeReason}; ${DIRECT_REFUSED}`;
  target.flushedTogether = false; // bytes in the page cache are in no journal
  // One that says what direct I/O must keep to has it: then the refusal is of this file, or of this moment.
  if (target.standing.directAlignment === null) devices.note(target.standing.device);
}
