/**
 * A failover behind one address, as of a managed Redis: the old master keeps its connections, as a replica that refuses
 * what it is asked. Only a new connection leads to the new master.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { isDemotion } from './refusals.ts';

/** While the address still leads to the replica: the longest pause before the next connection. */
const PAUSE_MS_MAX = 1000;
const PAUSE_MS_MIN = 25;
/** Refusals this close together are one event: commands are sent many at a time. */
const BURST_MS = 100;
/** Without refusals for this long, the next one is the first of another failover. */
const CALM_MS = 10_000;

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
    // ioredis sets `times` back once it is connected, though the replica refuses each command: without a pause of our
    // own it would connect again and again without end.
    retryStrategy: (times) =>
      Math.max(delayMs(times), streak === 0 ? 0 : Math.min(PAUSE_MS_MIN * 2 ** Math.min(streak, 10), PAUSE_MS_MAX)),
    reconnectOnError: (error) => {
      if (!isDemotion(error)) return false;
      const now = performance.now();
      if (now - refusedAt > CALM_MS) streak = 0;
      if (now - refusedAt > BURST_MS) streak += 1;
      refusedAt = now;
      // 2: ioredis sends the command again. Only for a blocking read, whose refusal would end QueueEvents: another
      // command may be part of a transaction and must not be sent alone; its caller repeats the whole.
      return /^UNBLOCKED\b/.test(error.message) ? 2 : 1;
    },
  };
}

/** A failover behind an address takes some seconds, of which the old master refuses the last. */
const FAILOVER_MS_MAX = 5000;
const AGAIN_MS = 100;

/** Runs `act` again if a demoted master refused it: by then a new connection may lead to its successor. */
export async function againAfterFailover<T>(act: () => Promise<T>): Promise<T> {
  const until = performance.now() + FAILOVER_MS_MAX;
  for (;;) {
    try {
      return await act();
    } catch (error) {
      if (!isDemotion(error) || performance.now() > until) throw error;
      await sleep(AGAIN_MS);
    }
  }
}
