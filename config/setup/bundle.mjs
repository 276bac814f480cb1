// Bundles the compiled programs: a command loads some files instead of some hundred, in a third of the time.
// What is bundled, what stays a file of its own, and how a program finds its bundle: config/src/process/bundle.ts.
import { mkdirSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { writeWhole } from './files.mjs';

/** Programs, and the threads that they start: each is a file of the bundle by its name. What else they start is not in it. */
const ENTRIES = {
  penstock: 'apps/cli/dist/penstock.js',
  host: 'apps/host/dist/process.js',
  'roots-asker': 'apps/host/dist/roots/asker-thread.js',
  'parts-remover': 'apps/host/dist/left-parts/remover.js',
  writer: 'workers/writer/dist/thread/worker.js',
  freer: 'workers/writer/dist/freeing/freer-thread.js',
  digest: 'libs/digest/dist/worker.js',
};
/** Packages with files beside their code: native ones, and one that starts threads by files of its own. */
const EXTERNAL = ['koffi', 'msgpackr-extract', 'piscina', 'undici'];

const bundleOf = (root) => join(root, 'apps/cli/dist/bundle');
const recordOf = (root) => join(bundleOf(root), 'bundled.json');

/** What a bundle may be made of: the compiled projects, the packages, and this file. */
function ingredients(root) {
  const { references } = JSON.parse(readFileSync(join(root, 'tsconfig.json'), 'utf8'));
  const projects = references.map(({ path }) => join(path, 'dist/.tsbuildinfo'));
  return [...projects, 'node_modules/.package-lock.json', 'config/setup/bundle.mjs'];
}

const timeOf = (root, file) => statSync(join(root, file)).mtimeMs;

/** Compiled code of this repository. */
const isOurs = (root, id) => id.startsWith(root) && id.includes(`${sep}dist${sep}`) && !id.includes('node_modules');

const readRecord = (root) => {
  try {
    return JSON.parse(readFileSync(recordOf(root), 'utf8'));
  } catch {
    return { madeOf: {}, files: [] };
  }
};

/** @param {string} root */
export function isBundled(root) {
  try {
    const madeOf = Object.entries(readRecord(root).madeOf);
    return madeOf.length > 0 && madeOf.every(([file, time]) => timeOf(root, file) === time);
  } catch {
    return false;
  }
}

/**
 * In a bundle the code of a file stands elsewhere: what it finds relative to itself is found from where it was. Threads
 * that are in the bundle are started from there.
 */
function keepPlaces(root) {
  const folder = bundleOf(root);
  const names = new Map(Object.entries(ENTRIES).map(([name, file]) => [join(root, file), name]));
  return {
    name: 'keep-places',
    transform(code, id) {
      if (!isOurs(root, id)) return null;
      return code.replaceAll(
        /new URL\('(?<file>\.[^']+\.js)', import\.meta\.url\)|import\.meta\.url/g,
        (whole, file) => {
          const target = file === undefined ? id : resolve(dirname(id), file);
          const name = file === undefined ? undefined : names.get(target);
          const from = JSON.stringify(name === undefined ? relative(folder, target) : `./${name}.js`);
          return `new URL(${from}, import.meta.url)${file === undefined ? '.href' : ''}`;
        },
      );
    },
  };
}

/** @param {string} root */
export async function bundle(root) {
  const folder = bundleOf(root);
  const entries = Object.fromEntries(Object.entries(ENTRIES).map(([name, file]) => [name, join(root, file)]));
  const started = new Set(Object.values(entries));
  const times = ingredients(root).map((file) => [file, timeOf(root, file)]);
  const before = readRecord(root).files;
  // Only here: a checkout that is ready loads none of it.
  const { build } = await import('rolldown');
  mkdirSync(folder, { recursive: true });
  const { output } = await build({
    input: entries,
    platform: 'node',
    external: EXTERNAL,
    plugins: [keepPlaces(root)],
    // Of a room whose entrance is imported for one function the rest is left out.
    treeshake: { moduleSideEffects: (id) => (isOurs(root, id) && !started.has(id) ? false : undefined) },
    output: {
      dir: folder,
      format: 'esm',
      // Errors are distinguished by the names of their classes.
      keepNames: true,
      chunkFileNames: '[name]-[hash].js',
      // Each process holds the text of what it has loaded: in one byte for each character, if all are of ASCII.
      charset: 'ascii',
      comments: { jsdoc: false, annotation: false, legal: true },
    },
    logLevel: 'warn',
  });
  const files = output.map(({ fileName }) => fileName);
  const parts = output.map(({ fileName, moduleIds = [] }) => [fileName, moduleIds.map((id) => relative(root, id))]);
  writeWhole(join(folder, 'parts.json'), Object.fromEntries(parts));
  // What was compiled beside it, as tests are, makes no other bundle.
  const modules = output.flatMap(({ moduleIds = [] }) => moduleIds);
  const isIn = (project) => modules.some((id) => id.startsWith(join(root, dirname(project)) + sep));
  const madeOf = Object.fromEntries(times.filter(([file]) => !file.endsWith('.tsbuildinfo') || isIn(file)));
  writeWhole(recordOf(root), { madeOf, files });
  // A process that runs loads some files later: those of the last bundle stay until the next.
  const kept = new Set([...files, ...before, 'bundled.json', 'parts.json']);
  for (const file of readdirSync(folder)) if (!kept.has(file)) rmSync(join(folder, file), { recursive: true });
}
