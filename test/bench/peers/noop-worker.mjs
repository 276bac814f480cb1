// The peer of the small-file case: a BullMQ worker that does nothing, in a process of its own as the host is.
import { Worker } from 'bullmq';

const [socketPath, queueName, concurrency] = process.argv.slice(2);
const worker = new Worker(queueName, async () => {}, {
  connection: { path: socketPath },
  concurrency: Number(concurrency),
});
await worker.waitUntilReady();
process.send({ ready: true });
process.once('disconnect', () => worker.close().then(() => process.exit(0)));
