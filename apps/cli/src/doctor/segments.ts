/** The directory of segments of shared memory: whether the host would read what is put there, and who may. */
import { constants } from 'node:os';
import { native } from '@penstock/native';
import { codeOfErrno, toWire } from '@penstock/contract';
import { type SegmentDirectory, openSegmentDirectory } from '@penstock/sink';
import { type Finding, ok, warn } from './finding.ts';

export function checkSegments(segments: SegmentDirectory): Finding {
  const what = 'shared memory';
  const { directory, groupId } = segments;
  const who = groupId === undefined ? 'for this user alone' : `for this user and group ${groupId}`;
  // No failure: jobs with other sources do not need it.
  try {
    const fd = openSegmentDirectory(segments);
    if (fd === -constants.errno.ENOENT) return ok(what, `${directory}, ${who} (not there yet: the host makes it)`);
    if (fd < 0) return warn(what, `${directory}: ${codeOfErrno(fd)}`, 'name another directory with --shm');
    native.close(fd);
    return ok(what, `${directory}, ${who}`);
  } catch (error) {
    const { code, hint } = toWire(error);
    return warn(what, `${directory} is not used (${code})`, hint ?? 'name another directory with --shm');
  }
}
