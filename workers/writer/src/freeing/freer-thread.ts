/** The freer's thread: one file after the other, each for as long as its disk takes. */
import { parentPort, workerData } from 'node:worker_threads';
import { FreeingTable } from '@penstock/matrix';
import { freeNext } from '@penstock/sink';
import { FREED, FREER_UP, type FreerSetup } from './freer.ts';

const port = parentPort!;
const { threadSlots, words } = workerData as FreerSetup;
const table = new FreeingTable(threadSlots, words);

port.postMessage(FREER_UP);
port.on('message', (order: 'look' | 'end') => {
  // Nothing was left when it was asked to end: what has come since is the next thread's.
  if (order === 'end') port.close();
  else while (freeNext(table)) port.postMessage(FREED);
});
