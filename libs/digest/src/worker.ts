/** The digest thread: sleeps until rows are handed over, and reads them where they lie. Wiring only. */
import { setImmediate } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { OpenSums } from './orders.ts';
import { RingBack } from './ring.ts';
import type { DigestSetup, FromDigest } from './thread.ts';

/** Entries between two turns of the event loop, which native libraries need to release their references. */
const ENTRIES_PER_TURN = 256;

const { ring, rows, rowsStart, rowsBytes } = workerData as DigestSetup;
const post = (message: FromDigest): void => parentPort!.postMessage(message);
const sums = new OpenSums(new Uint8Array(rows, rowsStart, rowsBytes), post);
const carryOut = sums.carryOut.bind(sums);
const back = new RingBack(ring, () => post('progress'));

async function work(): Promise<never> {
  for (;;) {
    back.waitForEntry();
    back.drain(carryOut, ENTRIES_PER_TURN);
    await setImmediate();
  }
}

void work();
