/** Gives a file its final name, and the mark by which a later attempt of the same job recognizes it as its own. */
import { constants } from 'node:os';
import { IoError, type WriteRequest } from '@penstock/contract';
import { native } from '@penstock/native';
import { statAt } from '@penstock/disk';
import { renameKeeping, renameOver } from '../device/freed-blocks.ts';
import type { Freeing } from '../device/freeing.ts';
import type { AttemptIdentity } from '../attempt/parts.ts';
import { isForeign } from '../attempt/planted.ts';
import { renameNoReplace } from './rename-new.ts';
import type { Target } from './target.ts';

const { EEXIST, ENOENT, ESTALE } = constants.errno;

/** The extended attribute with the key of the job that has created the file. */
const OWNER_ATTRIBUTE = 'user.penstock.job';

/** Reported in a result if the file was created by the last of the ways of rename-new.ts. */
const SEEN_EMPTY =
  'the name appeared with its bytes: it may have been seen empty for a moment (no RENAME_NOREPLACE, no links)';

/** Marks the file as made by this job. */
export function markOwner(fd: number, { jobKey }: AttemptIdentity): void {
  native.fsetxattr(fd, OWNER_ATTRIBUTE, Buffer.from(jobKey));
}

/**
 * True if the file `name` was created by an earlier attempt of the same job, also if the job has ended since and is retried.
 * False if another user may have put it there and forged the mark.
 */
export function ownedBy(dirFd: number, name: string, identity: AttemptIdentity): boolean {
  const fd = native.openat(dirFd, name, native.O_RDONLY | native.O_NOFOLLOW | native.O_NONBLOCK, 0);
  if (fd < 0) return false;
  const value = new Uint8Array(new ArrayBuffer(64));
  const length = native.fgetxattr(fd, OWNER_ATTRIBUTE, value);
  const stat = statAt(fd, '');
  native.close(fd);
  if (typeof stat === 'number' || isForeign(dirFd, stat)) return false;
  return length > 0 && Buffer.from(value.buffer, 0, length).toString('latin1') === identity.jobKey;
}

/** Gives the file its final name, by one rename: readers see either the old file or the whole new one. @throws IoError */
export function publish(target: Target, request: WriteRequest, identity: AttemptIdentity, freeing: Freeing): void {
  if (request.publish === 'atomic' && !target.isPublished) {
    const from = target.unpublishedName!;
    let result =
      request.mode === 'create'
        ? renameNoReplace(target.dirFd, from, target.finalName, () => target.notKept.push(SEEN_EMPTY))
        : replace(target, from, freeing);
    if (result === -EEXIST && ownedBy(target.dirFd, target.finalName, identity)) {
      result = replace(target, from, freeing);
    }
    if (result === -ENOENT) {
      // A later attempt of this job has removed it and does the write now. If there is none, a retry is right.
      const hint = 'The partial file is gone: another attempt at this job removed it, or the directory went away.';
      throw new IoError({ syscall: 'renameat', errno: -ESTALE, path: target.path, hint });
    }
    if (result < 0) throw new IoError({ syscall: 'renameat', errno: result, path: target.path });
  }
  target.unpublishedName = null; // from here on a failure must not remove it
}

/** Renames `from` over what has the final name: 0 or -errno. */
function replace(
  { dirFd, finalName, forgetsFreed, replaced, replacedBytes }: Target,
  from: string,
  freeing: Freeing,
): number {
  if (!forgetsFreed && freeing.takes(replacedBytes)) return renameKeeping(dirFd, from, finalName, replaced);
  return renameOver(dirFd, from, finalName, forgetsFreed ? replaced : null);
}
