/** The error of a job that BullMQ itself, or a worker of another program, has failed: all that is known is a text. */
import { parseCancelMessage, toWire, type WireError, WriteAbortedError } from '@penstock/contract';

/** @param failedReason as it stands in the job's hash */
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
