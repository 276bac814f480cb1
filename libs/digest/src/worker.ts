/** The digest thread: sleeps until rows are handed over, and reads them where they lie. Wiring only. */
import { setImmediate } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { OpenSums } from './orders.ts';
import { RingBack } from './ring.ts';
import type { DigestSetup, FromDigest } from './thread.ts';

/** Entries between two breaths of the event loop, which native libraries need to let go of what they referred to. */
const ENTRIES_PER_BREATH = 256;

const { ring, rows, rowsStart, rowsBytes } = workerData as DigestSetup;
const tell = (message: FromDigest): void => parentPort!.postMessage(message);
const sums = new OpenSums(new Uint8Array(rows, rowsStart, rowsBytes), tell);
const carryOut = sums.carryOut.bind(sums);
const back = new RingBack(ring, () => tell('progress'));

for (;;) {
  back.waitForEntry();
  back.drain(carryOut, ENTRIES_PER_BREATH);
  await setImmediate();
}
