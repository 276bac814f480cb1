// Looks for what was left while one descriptor alone is free, too few for a process, and again once all are. Prints what
// was reported and removed: node starved.fixture.mjs <data directory> <root> <record as JSON>.
import { closeSync, openSync, writeSync } from 'node:fs';
import { textOfRecords } from '@penstock/sink';
import { LeftParts } from '../../dist/left-parts/left-parts.js';

const [dataDirectory, path, record] = process.argv.slice(2);
const held = [];
const errors = [];
const parts = new LeftParts({
  dataDirectory,
  host: 'disk-1',
  roots: [{ name: 'data', path, writable: true }],
  judge: async (jobs) => jobs.map(() => 'over'),
  mayStart: () => true,
  onRemoved: (removed) => {
    parts.close();
    console.log(JSON.stringify({ errors, removed }));
    process.exit(0);
  },
  onError: ({ code }) => {
    errors.push(code);
    for (const fd of held.splice(0)) closeSync(fd);
  },
  firstMs: 1,
  everyMs: 50,
});
writeSync(parts.files.kept, textOfRecords([JSON.parse(record)]));
for (;;) {
  try {
    held.push(openSync('/dev/null', 'r'));
  } catch {
    break;
  }
}
closeSync(held.pop());
setInterval(() => {}, 1000); // else nothing would keep the process alive
