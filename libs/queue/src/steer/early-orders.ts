// Orders to jobs that are not run here, or not yet: a job that is taken while its order is under way must hear of it.
import type { Steer } from './order.ts';

/** An order may come before the reply that brings its job, on another connection: for so long it is kept for it. */
const ORDER_KEPT_MS = 60_000;

export class EarlyOrders {
  /** By job, the oldest first. */
  readonly #orders = new Map<string, { steer: Steer; at: number }>();

  get size(): number {
    return this.#orders.size;
  }

  put(jobId: string, steer: Steer): void {
    const now = performance.now();
    this.#orders.delete(jobId); // to the end of the order
    this.#orders.set(jobId, { steer, at: now });
    for (const [id, { at }] of this.#orders) {
      if (now - at < ORDER_KEPT_MS) break;
      this.#orders.delete(id);
    }
  }

  get(jobId: string): Steer | undefined {
    return this.#orders.get(jobId)?.steer;
  }
}
