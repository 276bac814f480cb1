// A failover behind one address, as of a managed Redis: the old master keeps its connections, as a replica that refuses
// what it is asked. Only a new connection leads to the new master.
import { setTimeout as sleep } from 'node:timers/promises';
import { isDemotion } from './refusals.ts';

/** While the address still leads to the replica: the longest pause before the next connection. */
const pauseMsMax = 1000;
const pauseMsMin = 25;
/** Refusals this close together are one event: commands are sent many at a time. */
const burstMs = 100;
/** Without refusals for this long, the next one is the first of another failover. */
const calmMs = 10_000;

/** Options of ioredis that make a connection anew when its server was demoted. */
export interface FailoverOptions {
  retryStrategy: (times: number) => number;
  reconnectOnError: (error: Error) => false | 1 | 2;
}

/** `delayMs` is the pause before the `times`-th try after a break of any other kind. */
export function followMaster(delayMs: (times: number) => number): FailoverOptions {
  let streak = 0;
  let refusedAt = Number.NEGATIVE_INFINITY;
  return {
    // A connection that was made counts as a success there, however often it was refused: it would spin.
    retryStrategy: (times) =>
      Math.max(delayMs(times), streak === 0 ? 0 : Math.min(pauseMsMin * 2 ** Math.min(streak, 10), pauseMsMax)),
    reconnectOnError: (error) => {
      if (!isDemotion(error)) return false;
      const now = performance.now();
      if (now - refusedAt > calmMs) streak = 0;
      if (now - refusedAt > burstMs) streak += 1;
      refusedAt = now;
      // A blocking read is sent again: QueueEvents would end with it. Others may be part of a transaction, and sent again
      // alone they would be more than was asked for: whoever asked does so again.
      return /^UNBLOCKED\b/.test(error.message) ? 2 : 1;
    },
  };
}

/** A failover behind an address takes some seconds, of which the old master refuses the last. */
const failoverMsMax = 5000;
const againMs = 100;

/** Runs `act` again where a demoted master refused it: by then a new connection may lead to its successor. */
export async function againAfterFailover<T>(act: () => Promise<T>): Promise<T> {
  const until = performance.now() + failoverMsMax;
  for (;;) {
    try {
      // oxlint-disable-next-line no-await-in-loop -- one try after another is the purpose
      return await act();
    } catch (error) {
      if (!isDemotion(error) || performance.now() > until) throw error;
      // oxlint-disable-next-line no-await-in-loop
      await sleep(againMs);
    }
  }
}
