// Whether dist/ was compiled from the sources as they are now; asking tsc would take ten times as long.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { writeWhole } from './files.mjs';

const record = (root) => join(root, '.cache/built.json');

function* filesBelow(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.name === 'node_modules' || entry.name === 'dist') continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* filesBelow(path);
    else if (/\.ts$|^(?:package|tsconfig)\.json$/.test(entry.name)) yield path;
  }
}

/**
 * `key` stands for every source, its size and time; `current` says that the last build had the same one.
 *
 * @param {string} root
 * @returns {{ key: string, current: boolean }}
 */
export function builtState(root) {
  const projects = JSON.parse(readFileSync(join(root, 'tsconfig.json'), 'utf8')).references.map(({ path }) => path);
  const hash = createHash('sha256');
  const inputs = ['tsconfig.json', 'tsconfig.base.json', 'package-lock.json'].map((file) => join(root, file));
  for (const project of projects) inputs.push(...filesBelow(join(root, project)));
  for (const file of inputs) {
    const { size, mtimeMs } = statSync(file);
    hash.update(`${file}\0${size}\0${mtimeMs}\0`);
  }
  const key = hash.digest('hex');
  const complete = projects.every((project) => existsSync(join(root, project, 'dist/.tsbuildinfo')));
  return { key, current: complete && key === lastKey(root) };
}

function lastKey(root) {
  try {
    return JSON.parse(readFileSync(record(root), 'utf8')).key;
  } catch {
    return null;
  }
}

/** To be called after a build with the state taken before it: a file saved meanwhile then asks for another build. */
export function recordBuilt(root, { key }) {
  writeWhole(record(root), { key });
}
