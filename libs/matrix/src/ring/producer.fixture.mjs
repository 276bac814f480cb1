// A producer on a thread of its own: pushes `size` bytes in pieces of many lengths, and ends as it is told to.
import { workerData } from 'node:worker_threads';
import { RingProducer } from '@penstock/matrix';

const { inlet, size, end } = workerData;
const producer = new RingProducer(inlet);
let lengthSeed = 1;
for (let at = 0; at < size;) {
  lengthSeed = (Math.imul(lengthSeed, 1_103_515_245) + 12_345) >>> 0;
  const bytes = new Uint8Array(Math.min(size - at, 1 + ((lengthSeed >>> 8) % 700)));
  for (let index = 0; index < bytes.length; index += 1) bytes[index] = (at + index) % 251;
  if (!(await producer.pushAll(bytes))) break; // the other end is closed
  at += bytes.length;
}
if (end === 'end') producer.end();
if (end === 'fail') producer.fail(Object.assign(new Error('the server hung up'), { code: 'ECONNRESET' }));
// 'exit': the thread ends without a word, and its port with it
