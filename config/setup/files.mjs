// Files of set-up's own: each is written whole, so that a reader never sees a part.
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/** Writes JSON so that readers, and an interrupted run, see the old file or the new one. */
export function writeWhole(file, value) {
  writeTextWhole(file, `${JSON.stringify(value, null, 2)}\n`);
}

/** Writes text so that readers, and an interrupted run, see the old file or the new one. */
export function writeTextWhole(file, text) {
  mkdirSync(dirname(file), { recursive: true });
  const partial = `${file}.${process.pid}.partial`;
  writeFileSync(partial, text);
  renameSync(partial, file);
}
