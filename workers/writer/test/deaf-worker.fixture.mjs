// A writer thread that hears nothing any more in the middle of its first write of a file named "deaf…": as if a call
// to the device did not return. Rows of it are in flight then.
import { workerData } from 'node:worker_threads';
import serve from '../dist/thread/worker.js';
import { Control } from '@penstock/matrix';

const control = new Control(workerData.threadSlots, workerData.jobSlots, workerData.control);
const cell = new Int32Array(new SharedArrayBuffer(4));

export default function serveUntilDeaf({ port }) {
  port.on('message', (message) => {
    if (typeof message === 'string') return;
    const deaf = message.find((task) => task.request?.path.startsWith('deaf'));
    if (deaf === undefined) return;
    const block = control.job(deaf.jobSlot);
    const watch = () => {
      if (block.read().inFlight > 0) for (;;) Atomics.wait(cell, 0, 0, 100);
      setImmediate(watch);
    };
    setImmediate(watch);
  });
  return serve({ port });
}
