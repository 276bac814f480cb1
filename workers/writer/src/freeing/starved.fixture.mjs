// Orders a file to be freed while no descriptor is free to start the freer's thread with, and then while a few are, too few
// to load it. Prints of each whether it waits for descriptors.
import { openSync } from 'node:fs';
import { clearInterval, setInterval } from 'node:timers';
import { setTimeout } from 'node:timers/promises';
import { TO_CLOSE } from '@penstock/matrix';
import { Freer } from '../../dist/freeing/freer.js';
import { holdDescriptors } from '../../test/hold-descriptors.fixture.mjs';

// The freer's thread keeps no process alive.
const alive = setInterval(() => {}, 1000);
const early = [];
for (const free of [0, 4]) {
  const freer = new Freer(1, () => {});
  freer.table.order(0, { fd: openSync('/dev/null', 'r'), device: 1, bytes: 1, end: TO_CLOSE }, () => false);
  const letGo = holdDescriptors(free);
  freer.look();
  const done = freer.whenFreed();
  early.push(await Promise.race([done, setTimeout(800, 'waits')])); // more than one try
  letGo();
  await done;
  await freer.close();
}
clearInterval(alive);
console.log(JSON.stringify(early));
