// A fetcher's thread that dies by an exception when it is asked for a url that ends in "die".
import { parentPort } from 'node:worker_threads';

await import('../dist/worker.js');

parentPort.on('message', (message) => {
  if (message !== 'end' && message.order.url.endsWith('die')) throw new Error('the fetcher dies here');
});
