// Writes small files that share directories, replacements of large files and a bulk while few descriptors are left, and all
// of them again once there are enough. Prints, of each number of free ones, what the first attempts ended with, and at the
// end which of the files are wrong, which descriptors are still open below the directory, and what else is in it.
import { readFileSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseJob } from '@penstock/contract/judging';
import { WriterPool } from '../dist/pool/pool.js';
import { holdDescriptors } from './hold-descriptors.fixture.mjs';

const MIB = 1_048_576;
const directory = process.argv[2];
const roots = [{ name: 'data', path: directory, writable: true }];
const pool = new WriterPool({ threads: 2, depth: 32, jobs: 32, memoryBytes: 67_108_864, roots, engine: 'auto' });
await pool.ready();

const file = (path, size, seed) => ({ path, size, source: { kind: 'pattern', pattern: 'stamp', seed } });
const attempt = async (request, name, starts) => {
  try {
    const { failed = 0 } = await pool.run(parseJob(request), name, starts).done;
    return failed === 0 ? 'completed' : 'some failed';
  } catch ({ code, syscall }) {
    return `${code} ${syscall}`;
  }
};
const filesOf = (requests) => requests.flatMap((request) => request.files ?? [request]);
const whole = new Map(); // by size and seed, written while there were enough descriptors
const isWrong = ({ path, size, source: { seed } }) =>
  Buffer.compare(readFileSync(join(directory, path)), whole.get(`${size}-${seed}`)) !== 0;
const open = () =>
  readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const path = readlinkSync(`/proc/self/fd/${fd}`);
      return path.startsWith(directory) ? [path] : [];
    } catch {
      return []; // the descriptor of the listing itself
    }
  });

for (const size of [4096, 5000, 9 * MIB]) {
  for (let seed = 0; seed < (size === 4096 ? 64 : size === 5000 ? 20 : 3); seed += 1) {
    const name = `${size}-${seed}`;
    await attempt(file(name, size, seed), name, 1);
    whole.set(name, readFileSync(join(directory, name)));
  }
}
const outcomes = {};
const wrong = [];
for (const free of [0, 2, 5, 12, 24]) {
  const small = Array.from({ length: 20 }, (_, index) => file(`d${free}/${index}`, 5000, index));
  const large = [0, 1, 2].map((index) => file(`large${free}-${index}`, 9 * MIB, index));
  large[2].publish = 'in-place';
  const bulk = { files: Array.from({ length: 64 }, (_, index) => file(`b${free}/${index}`, 4096, index)) };
  const requests = [...small, ...large, bulk];
  for (const { path } of large) writeFileSync(join(directory, path), Buffer.alloc(16 * MIB, 1));
  const letGo = holdDescriptors(free);
  const firsts = await Promise.all(requests.map((request, index) => attempt(request, `${free}-${index}`, 1)));
  letGo();
  outcomes[free] = [...new Set(firsts)].toSorted();
  const again = requests.filter((_, index) => firsts[index] !== 'completed');
  await Promise.all(again.map((request) => attempt(request, `${free}-${requests.indexOf(request)}`, 2)));
  wrong.push(...filesOf(requests).filter(isWrong));
}
while (pool.whenFreed() !== null) await pool.whenFreed();
const closed = await pool.close();
const parts = readdirSync(directory, { recursive: true }).filter((name) => name.endsWith('.part'));
console.log(JSON.stringify({ outcomes, wrong, parts, open: open(), closed }));
