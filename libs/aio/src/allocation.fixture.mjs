// Writes 100,000 rows through the loop, up to ten times, and prints as JSON how many bytes of heap each took at best.
// Needs --expose-gc and a young generation so large that nothing is collected meanwhile. Argument: a file of 4 MiB.
import { native } from '@penstock/native';
import { AioEngine, AioLoop, libaioPort, syscallPort } from '../dist/index.js';

const ROW = 4096;
const DEPTH = 32;
const ROWS = 100_000;
const GOOD_BYTES_PER_ROW = 4;

const direct = native.openat(native.AT_FDCWD, process.argv[2], native.O_RDWR | native.O_DIRECT, 0);
const fd = direct >= 0 ? direct : native.openat(native.AT_FDCWD, process.argv[2], native.O_RDWR, 0);
const memory = new Uint8Array(new SharedArrayBuffer((DEPTH + 1) * ROW)).fill(1);
const address = Math.ceil(native.addressOf(memory) / ROW) * ROW;
const engine = new AioEngine(libaioPort() ?? syscallPort(), DEPTH);
const loop = new AioLoop(engine, (error) => {
  throw error;
});

class RowsLane {
  finished = false;
  next = 0;
  inFlight = 0;

  constructor(rows, end) {
    this.rows = rows;
    this.end = end;
  }

  prepare(slot) {
    if (this.next === this.rows) return false;
    engine.prepWrite(slot, fd, address + slot * ROW, ROW, (this.next & 1023) * ROW);
    this.next += 1;
    this.inFlight += 1;
    return true;
  }

  complete(slot, result) {
    if (result !== ROW) throw new Error(`a write gave ${result}`);
    this.inFlight -= 1;
    engine.releaseSlot(slot);
    if (this.next < this.rows || this.inFlight > 0) return;
    this.finished = true;
    this.end();
  }

  fail(error) {
    throw error;
  }
}

const write = (rows) =>
  new Promise((resolve) => {
    loop.add(new RowsLane(rows, resolve));
  });

await write(20_000); // compiled, and so without the allocations of the interpreter
globalThis.gc();
let bytesPerRow = Number.POSITIVE_INFINITY;
// What compiling leaves behind is no allocation by row, and on a busy machine the compiler is late: the best round counts.
for (let round = 0; round < 10 && bytesPerRow > GOOD_BYTES_PER_ROW; round += 1) {
  const before = process.memoryUsage().heapUsed;
  await write(ROWS);
  bytesPerRow = Math.min(bytesPerRow, (process.memoryUsage().heapUsed - before) / ROWS);
}
engine.destroy();
native.close(fd);
process.stdout.write(JSON.stringify({ bytesPerRow }));
