// A writer thread that dies by an exception in the middle of its first write of a file named "die…", or of a bulk in
// which one is named so.
import { workerData } from 'node:worker_threads';
import write from '@penstock/writer/worker';
import { Control } from '@penstock/matrix';

const control = new Control(workerData.threadSlots, workerData.jobSlots, workerData.control);

export default function writeAndDie(task) {
  const { path } = task.request ?? task.bulk.files[0];
  if (path.startsWith('die')) {
    const block = control.job(task.jobSlot);
    const watch = () => {
      if (block.read().bytesWritten > 0) throw new Error('the thread dies here');
      setImmediate(watch);
    };
    setImmediate(watch);
  }
  return write(task);
}
