// Orders something of the undertaker while no descriptor is free to start its thread with, and then while a few are, too
// few to load it. Prints of each whether it waits for descriptors.
import { setTimeout } from 'node:timers/promises';
import { Control } from '@penstock/matrix';
import { Undertaker } from '../../dist/death/undertaker.js';
import { holdDescriptors } from '../../test/hold-descriptors.fixture.mjs';

const { buffer: control } = new Control(0, 1);
const leftOpen = [{ control, threads: 0, jobs: 1, firstSlot: 0, slots: 1, attemptToken: 'none' }];
const undertaker = new Undertaker();
const early = [];
for (const free of [0, 4]) {
  const letGo = holdDescriptors(free);
  const done = undertaker.closeLeftOpen(leftOpen);
  early.push(await Promise.race([done, setTimeout(800, 'waits')])); // more than one try
  letGo();
  await done;
}
await undertaker.close();
console.log(JSON.stringify(early));
