// The peers of the large write: how a Node program writes a file today. Prints {seconds, cpuSeconds, peakRssBytes} as JSON.
// Rows are filled once, before the clock starts: untouched memory would be the zero page, and flatter the figures.
import { createWriteStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

const [way, file, sizeText, rowText] = process.argv.slice(2);
const size = Number(sizeText);
const rowBytes = Number(rowText);
const IN_FLIGHT = 32;
const rows = Array.from({ length: IN_FLIGHT }, (_, index) => Buffer.alloc(rowBytes, index + 1));

async function stream() {
  function* chunks() {
    for (let position = 0, row = 0; position < size; position += rowBytes, row += 1) yield rows[row % IN_FLIGHT];
  }
  // Buffers as much as the host's rows hold, which the stream then writes with one writev: twice as fast as its
  // default, and no more memory than the host takes. fdatasync as the host does it.
  const target = createWriteStream(file, { highWaterMark: rowBytes * IN_FLIGHT });
  await pipeline(Readable.from(chunks(), { objectMode: false, highWaterMark: rowBytes }), target);
  const handle = await open(file, 'r+');
  await handle.datasync();
  await handle.close();
}

async function handles() {
  const handle = await open(file, 'w');
  let next = 0;
  await Promise.all(
    rows.map(async (row) => {
      while (next < size) {
        const position = next;
        next += rowBytes;
        await handle.write(row, 0, rowBytes, position);
      }
    }),
  );
  await handle.datasync();
  await handle.close();
}

const cpuBefore = process.cpuUsage();
const started = performance.now();
await { stream, handles }[way]();
const seconds = (performance.now() - started) / 1000;
const { user, system } = process.cpuUsage(cpuBefore);
const peakRssBytes = process.resourceUsage().maxRSS * 1024;
console.log(JSON.stringify({ seconds, cpuSeconds: (user + system) / 1e6, peakRssBytes }));
