/** The undertaker's thread: one duty after the other, each for as long as its disk takes. */
import { parentPort } from 'node:worker_threads';
import { native } from '@penstock/native';
import { closeLeftOpen } from './left-open.ts';
import { UNDERTAKER_UP, type Done, type Duty } from './undertaker.ts';

const port = parentPort!;
const kernel = native.syscallAio();

port.postMessage(UNDERTAKER_UP);
port.on('message', (duty: Duty | 'end') => {
  if (duty === 'end') {
    port.close();
    return;
  }
  let result = 0;
  if ('context' in duty) result = kernel.destroy(duty.context);
  else if ('fds' in duty) for (const fd of duty.fds) native.close(fd);
  else for (const left of duty.leftOpen) closeLeftOpen(left);
  port.postMessage({ number: duty.number, result } satisfies Done);
});
