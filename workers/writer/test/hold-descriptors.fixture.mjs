// For programs of tests: opens files until this process can open no more, but for a few.
import { closeSync, openSync } from 'node:fs';

/** Leaves `free` descriptors to be opened; returns what closes the others. */
export function holdDescriptors(free) {
  const held = [];
  for (;;) {
    try {
      held.push(openSync('/dev/null', 'r'));
    } catch {
      break;
    }
  }
  for (const fd of held.splice(0, free)) closeSync(fd);
  return () => {
    for (const fd of held) closeSync(fd);
  };
}
