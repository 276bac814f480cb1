/** Keeps orders to jobs that do not run here, or not yet: the reply that brings a job may come after an order to it. */
import type { Order } from './order.ts';

/** An order may come before the reply that brings its job, on another connection: for so long it is kept for it. */
const ORDER_KEPT_MS = 60_000;

export class EarlyOrders {
  /** By job, the oldest first. */
  readonly #orders = new Map<string, { order: Order; at: number }>();

  get size(): number {
    return this.#orders.size;
  }

  put(jobId: string, order: Order): void {
    const now = performance.now();
    this.#orders.delete(jobId); // to the end of the order
    this.#orders.set(jobId, { order, at: now });
    for (const [id, { at }] of this.#orders) {
      if (now - at < ORDER_KEPT_MS) break;
      this.#orders.delete(id);
    }
  }

  get(jobId: string): Order | undefined {
    return this.#orders.get(jobId)?.order;
  }
}
