/** The queue's client for as long as a command uses it. */
import type { StoreOptions } from '@penstock/config';
import type { WriteQueue } from '@penstock/queue';
import { say } from '../terminal/output.ts';
import { openStoreOf } from './store-options.ts';

/** Resolves with what `act` does with the queue that `options` name, which is closed then. */
export async function onQueue<T>(options: StoreOptions, act: (queue: WriteQueue) => Promise<T>): Promise<T> {
  const { WriteQueue: Client } = await import('@penstock/queue');
  const complain = (error: Error): void => say(error.message);
  const { store } = await openStoreOf(options, complain);
  const queue = new Client({ connection: store.connection, onError: complain });
  try {
    return await act(queue);
  } finally {
    await queue.close();
    await store.close();
  }
}
