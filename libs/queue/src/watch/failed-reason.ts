/** What a job's `failedReason` says, if BullMQ itself or another program's worker wrote it: no error of ours is recorded then. */
import { parseCancelMessage, toWire, type WireError, WriteAbortedError } from '@penstock/contract';

/** The error of a job whose failure BullMQ itself recorded, or another program's worker. */
export function errorOf(failedReason: string): WireError {
  const cancelled = parseCancelMessage(failedReason);
  if (cancelled !== null) return toWire(new WriteAbortedError('cancel', { cancelled }));
  if (failedReason.startsWith('job stalled')) {
    return {
      name: 'StalledError',
      message: 'Host after host died, or lost Redis, while it worked on this job.',
      code: 'ESTALLED',
      hint: "Look at the hosts' logs at the times of its attempts before it is added again.",
      retryable: false,
    };
  }
  const shard = /^child (\S+) failed$/.exec(failedReason)?.[1];
  if (shard !== undefined) {
    const id = shard.slice(shard.lastIndexOf(':') + 1);
    return {
      name: 'ShardError',
      message: `Job ${id}, which this one waited for, failed for good.`,
      code: 'ESHARD',
      hint: `Look at why: penstock watch ${id}`,
      retryable: false,
    };
  }
  return { name: 'Error', message: failedReason, code: 'EUNKNOWN', retryable: false };
}
