// Writes 200 small files at a time through a writer thread's parts, up to ten times, and prints as JSON how many bytes of heap
// each took at best. Needs --expose-gc and a young generation so large that nothing is collected meanwhile. Argument: a
// directory on a disk.
import { AioEngine, AioLoop, libaioPort, syscallPort } from '@penstock/aio';
import { parseRequest } from '@penstock/contract/judging';
import { Roots } from '@penstock/disk';
import { Arena, Control, createArenaMemory } from '@penstock/matrix';
import { WriterThread, runTask } from '../../dist/index.js';

const AT_ONCE = 32;
const FILES = 200;
const GOOD_BYTES_PER_FILE = Number(process.argv[3]);

const engine = new AioEngine(libaioPort() ?? syscallPort(), 64);
const loop = new AioLoop(engine, (error) => {
  throw error;
});
const roots = new Roots([{ name: 'data', path: process.argv[2], writable: true, direct: 'auto' }]);
const thread = new WriterThread({ engine, loop, arena: new Arena(createArenaMemory(16_777_216)), roots, index: 0 });
const control = new Control(1, AT_ONCE);
let files = 0;

/** Writes what is left of `orders`, one after the other, by the block of `slot`. */
async function writeInTurn(orders, slot) {
  for (let order = orders.pop(); order !== undefined; order = orders.pop()) {
    await runTask(thread, order, control.job(slot));
  }
}

async function write(count) {
  const orders = Array.from({ length: count }, () => {
    files += 1;
    const source = { kind: 'pattern', pattern: 'stamp', seed: files };
    const request = parseRequest({ path: `d${files >> 9}/${files}`, size: 4096, source });
    return { request, jobKey: `job${files}`, attemptToken: '1', again: false, job: `queue/${files}/1` };
  });
  const before = process.memoryUsage().heapUsed;
  await Promise.all(Array.from({ length: AT_ONCE }, (_, slot) => writeInTurn(orders, slot)));
  return (process.memoryUsage().heapUsed - before) / count;
}

for (let round = 0; round < 4; round += 1) await write(FILES); // compiled, and so without the allocations of the interpreter
globalThis.gc();
let bytesPerFile = Number.POSITIVE_INFINITY;
// On a busy machine the compiler is late: the best round counts.
for (let round = 0; round < 10 && bytesPerFile > GOOD_BYTES_PER_FILE; round += 1) {
  bytesPerFile = Math.min(bytesPerFile, await write(FILES));
}
engine.destroy();
roots.close();
await thread.digests.close();
process.stdout.write(JSON.stringify({ bytesPerFile }));
