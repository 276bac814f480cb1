/**
 * For tests: attempts at writes in a process of its own, as a host makes them: a pool of one thread, and the fetcher for
 * urls. Started with the pool's options, it says that it is ready, and makes each attempt that it is sent.
 */
import process from 'node:process';
import { toWire } from '@penstock/contract';
import { parseRequest } from '@penstock/contract/judging';
import { WriterPool } from '@penstock/writer';

const { Fetcher } = await import(new URL('../../workers/fetcher/dist/index.js', import.meta.url));
const fetcher = new Fetcher({ urlAllow: ['127.0.0.1'] });
const pool = new WriterPool(JSON.parse(process.argv[2]));
await pool.ready();

process.on('message', async (message) => {
  if (message === 'end') {
    await fetcher.close();
    await pool.close();
    process.exit();
  }
  const { id, request, jobName, starts } = message;
  try {
    process.send({ id, result: await run(parseRequest(request), jobName, starts) });
  } catch (error) {
    process.send({ id, error: toWire(error) });
  }
});
process.on('disconnect', () => process.exit()); // whoever started it has gone
process.send('ready');

/** As a queue would name it. */
const referenceTo = (jobName) => `rig/steps/${jobName}/1`;

function run(request, jobName, starts) {
  const job = referenceTo(jobName);
  if (request.source.kind !== 'url') return pool.run(request, jobName, starts, job).done;
  const running = pool.runStream(request, jobName, starts, true, job);
  fetcher.fetch({ source: request.source, size: request.size, inlet: running.inlet });
  return running.done;
}
