/**
 * The fetcher's thread: any number of urls at once, each into the ring of its write. A writer thread sleeps in the
 * kernel and the thread that takes jobs must answer at once: neither could bring bodies, chunk by chunk.
 */
import { setImmediate } from 'node:timers';
import { parentPort, workerData } from 'node:worker_threads';
import { RingProducer } from '@penstock/matrix';
import { AddressPolicy } from './addresses.ts';
import type { Destination } from './destination.ts';
import { startError } from './errors.ts';
import { fetchInto } from './fetch.ts';
import { exchangeClass } from './http.ts';
import type { FetchMeans } from './order.ts';
import { FETCHER_READY, type FetchTask, type FetcherSetup, type ToFetcher } from './protocol.ts';

const { urlAllow } = workerData as FetcherSetup;
const means: FetchMeans = { policy: new AddressPolicy(urlAllow) };
const port = parentPort!;
/** Of the urls that are being fetched. */
const running = new Map<RingProducer, string>();

// An error that ends the thread is the reason of all the writes that end with it.
process.once('uncaughtException', (error) => {
  for (const [producer, url] of running) producer.fail(startError(error, url));
  setImmediate(() => {
    throw error;
  });
});

async function perform({ order, inlet }: FetchTask): Promise<void> {
  const writeOver = new AbortController();
  const producer = new RingProducer(inlet, () => writeOver.abort());
  const destination: Destination = {
    begin(answer) {
      producer.begin(answer);
    },
    push: (bytes) => producer.push(bytes),
    async room() {
      await producer.writable(); // false if the write is over, which the signal reports as well
    },
  };
  running.set(producer, order.url);
  try {
    // Rows come with the bytes: a server that does not answer keeps none from other writes.
    if (!(await producer.opened())) return;
    await fetchInto(order, producer.startAt, destination, means, writeOver.signal);
    producer.end();
  } catch (error) {
    producer.fail(error); // without effect if the write has ended first: then it has its own reason
  } finally {
    running.delete(producer);
  }
}

port.on('message', (message: ToFetcher) => {
  if (message === 'end') port.close();
  else void perform(message);
});

await exchangeClass(); // if that fails the thread ends, and the urls that waited for it fail by the reason
port.postMessage(FETCHER_READY);
