// A worker thread that opens a writer and is ended amid its writes, as workerData.end says.
import { parentPort, workerData } from 'node:worker_threads';
import { openWriter } from 'penstock';

const { directory, end } = workerData;
const writer = await openWriter({ threads: 2, memoryBytes: 33_554_432 });
const bytes = Buffer.alloc(3_000_001, 7);
const log = writer.createWriteStream(`${directory}/log`, { flags: 'a' });
log.write(bytes);
await log.flush();
log.write(bytes.subarray(0, 1000));
const stream = writer.createWriteStream(`${directory}/stream`);
stream.write(bytes);
await stream.flush();
// Each with its file open, writing or in the line for rows: a thread that is ended inside the very call that opens one
// cannot note it.
const source = { kind: 'pattern', pattern: 'stamp' };
await Promise.all(
  Array.from(
    { length: 4 },
    (_, index) =>
      new Promise((resolve) => {
        const options = { size: '64MiB', limit: { bytesPerSecond: '4MiB' }, onProgress: resolve };
        void writer.writeFile(`${directory}/${index}`, source, options);
      }),
  ),
);
if (end === 'exit') process.exit(3);
if (end === 'uncaught') setImmediate(() => JSON.parse('{'));
parentPort.postMessage('under way');
