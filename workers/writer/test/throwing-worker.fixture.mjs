// A writer thread that dies by an exception in the middle of its first write of a file named "die…", or of a bulk
// whose first one is.
import { workerData } from 'node:worker_threads';
import serve from '../dist/thread/worker.js';
import { Control } from '@penstock/matrix';

const control = new Control(workerData.threadSlots, workerData.jobSlots, workerData.control);

export default function serveAndDie({ port }) {
  port.on('message', (message) => {
    const path = (task) => task.request?.path ?? task.bulk.files[0].path;
    const dying = typeof message === 'string' ? undefined : message.find((task) => path(task).startsWith('die'));
    if (dying === undefined) return;
    const block = control.job(dying.jobSlot);
    const watch = () => {
      if (block.read().bytesWritten > 0) throw new Error('the thread dies here');
      setImmediate(watch);
    };
    setImmediate(watch);
  });
  return serve({ port });
}
