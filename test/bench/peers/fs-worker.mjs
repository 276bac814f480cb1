// The true peer of files by jobs: the BullMQ worker on node:fs that one writes instead, in a process of its own.
// Each file is durable and atomic: a temporary file, fdatasync, a rename over the name, an fsync of the directory.
import { open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Worker } from 'bullmq';

const [socketPath, queueName, concurrency, root] = process.argv.slice(2);

async function write({ id, data: { path, size, source } }) {
  const target = join(root, path);
  const temporary = `${target}.${id}.tmp`;
  try {
    const file = await open(temporary, 'wx');
    try {
      await file.writeFile(Buffer.alloc(size, source.seed));
      await file.datasync();
    } finally {
      await file.close();
    }
    await rename(temporary, target);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  const directory = await open(dirname(target));
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
  return { path, bytes: size };
}

// The host's own options: of ended jobs as many are kept, and locks and looks after stalled ones are as rare.
const worker = new Worker(queueName, write, {
  connection: { path: socketPath },
  concurrency: Number(concurrency),
  lockDuration: 30_000,
  stalledInterval: 10_000,
  removeOnComplete: { count: 1000 },
  removeOnFail: { count: 5000 },
});
await worker.waitUntilReady();
process.send({ ready: true });
process.once('disconnect', () => worker.close().then(() => process.exit(0)));
