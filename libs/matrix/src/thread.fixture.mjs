// The other threads of the tests: what each does is its role.
import { parentPort, workerData } from 'node:worker_threads';
import { Arena, Control } from '../dist/index.js';

const answer = parentPort.postMessage.bind(parentPort);
const { role, memory, threads, jobs, buffer, gate } = workerData;

const ownCell = new Int32Array(new SharedArrayBuffer(4));

const roles = {
  arena() {
    const arena = new Arena(memory);
    answer({ address: arena.address, byte: arena.bytes[12_345] });
  },

  // Publishes readings whose words are bound to each other, after pauses of all lengths from none to some microseconds,
  // for ever.
  publisher() {
    const block = new Control(threads, jobs, buffer).job(0);
    for (let count = 1; ; count += 1) {
      // Low and high words change together: 2^32 - 1 and its neighbours.
      const written = count * 4_294_967_295;
      block.publish(count % 6, written, written - count, written + count, count % 1_000_000);
      for (let pause = count % 512; pause > 0; pause -= 1) Atomics.load(ownCell, 0);
    }
  },

  // Claims every slot it can get, all claimers at once.
  claimer() {
    const control = new Control(threads, jobs, buffer);
    const cell = new Int32Array(gate);
    answer('ready');
    Atomics.wait(cell, 0, 0);
    const claimed = [];
    for (let index = control.claimThread(7); index !== -1; index = control.claimThread(7)) claimed.push(index);
    answer(claimed);
  },
};

roles[role]();
