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
for (let index = 0; index < 4; index += 1) {
  void writer.writeFile(
    `${directory}/${index}`,
    { kind: 'pattern', pattern: 'stamp' },
    { size: '64MiB', limit: { bytesPerSecond: '4MiB' } },
  );
}
await new Promise((resolve) => {
  setTimeout(resolve, 50);
});
if (end === 'exit') process.exit(3);
if (end === 'uncaught') setImmediate(() => JSON.parse('{'));
parentPort.postMessage('under way');
