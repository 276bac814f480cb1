/** BullMQ's deduplication for writes: one at a time per file. */
import { createHash } from 'node:crypto';
import type { WriteRequestInput } from '@penstock/contract';
import { parseRequest } from '@penstock/contract/judging';
import type { JobsOptions } from 'bullmq';

/**
 * Options with which a write is not added while another of the same file waits or runs: add() then resolves with the id
 * of that one. For writes that replace the file, not for those that append.
 *
 * @throws RequestError
 */
export function oncePerPath(request: WriteRequestInput): Pick<JobsOptions, 'deduplication'> {
  const { root, path } = parseRequest(request);
  // Of a length that does not depend on the path's, and without the colons that BullMQ builds its keys with.
  const digest = createHash('sha256').update(`${root}\0${path}`).digest('hex');
  return { deduplication: { id: `path-${digest.slice(0, 32)}` } };
}
