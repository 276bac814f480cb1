// A thread that is no writer and pushes `count` times 4 MiB of sevens into a stream.
import { workerData } from 'node:worker_threads';
import { RingProducer } from '@penstock/matrix';

const { inlet, count } = workerData;
const producer = new RingProducer(inlet);
const sevens = new Uint8Array(4_194_304).fill(7);
let pushed = 0;
while (pushed < count && (await producer.pushAll(sevens))) pushed += 1;
producer.end();
