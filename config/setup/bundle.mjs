// Bundles the compiled programs: a command loads some files instead of some hundred, in a third of the time.
// What is bundled, what stays a file of its own, and how a program finds its bundle: config/src/process/bundle.ts.
import { execFile } from 'node:child_process';
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { promisify } from 'node:util';
import { writeTextWhole, writeWhole } from './files.mjs';

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

/** Loads the files of the bundle, and lies beside them. */
const LOADER = 'loader.cjs';
/** Long enough for a slow disk. */
const KEEPING_MS_MAX = 30_000;

/**
 * What a package has for others, left out: BullMQ's queues in Postgres, four hundred kilobytes that are executed at each
 * start. By folder, the one file that loads it.
 */
const LEFT_OUT = { 'bullmq/dist/cjs/postgres/': 'bullmq/dist/cjs/index.js' };

const bundleOf = (root) => join(root, 'apps/cli/dist/bundle');
const recordOf = (root) => join(bundleOf(root), 'bundled.json');

/** What a bundle may be made of: the compiled projects, the packages, and this file. */
function ingredients(root) {
  const { references } = JSON.parse(readFileSync(join(root, 'tsconfig.json'), 'utf8'));
  const projects = references.map(({ path }) => join(path, 'dist/.tsbuildinfo'));
  return [...projects, 'node_modules/.package-lock.json', 'config/setup/bundle.mjs', 'config/setup/loader.cjs'];
}

const timeOf = (root, file) => statSync(join(root, file)).mtimeMs;

/** Compiled code of this repository. */
const isOurs = (root, id) => id.startsWith(root) && id.includes(`${sep}dist${sep}`) && !id.includes('node_modules');

const readRecord = (root) => {
  try {
    return JSON.parse(readFileSync(recordOf(root), 'utf8'));
  } catch {
    return { madeOf: {}, node: '', files: [] };
  }
};

function mayWrite(folder) {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** @param {string} root */
export function isBundled(root) {
  try {
    const { madeOf, node } = readRecord(root);
    const ingredientsOf = Object.entries(madeOf);
    if (ingredientsOf.length === 0) return false;
    // Of another Node nothing that is compiled can be taken. Whose checkout this is not compiles at each start.
    if (node !== process.version && mayWrite(bundleOf(root))) return false;
    return ingredientsOf.every(([file, time]) => timeOf(root, file) === time);
  } catch {
    return false;
  }
}

/** The file of the room that `id` imports as `room`: what a program starts, and does not load itself. */
const fileOf = (room, id) => createRequire(id).resolve(room);

/**
 * In a bundle the code of a file stands elsewhere: what it finds relative to itself is found from where it was. Threads
 * that are in the bundle are started from there.
 */
function keepPlaces(root) {
  const folder = bundleOf(root);
  const at = (path) => `new URL(${JSON.stringify(path)}, import.meta.url)`;
  const names = new Map(Object.entries(ENTRIES).map(([name, file]) => [join(root, file), name]));
  return {
    name: 'keep-places',
    transform(code, id) {
      if (!isOurs(root, id)) return null;
      return code.replaceAll(
        /new URL\('(?<file>\.[^']+\.js)', import\.meta\.url\)|import\.meta\.resolve\('(?<room>[^']+)'\)|import\.meta\.url/g,
        (whole, file, room) => {
          if (room !== undefined) return `${at(relative(folder, fileOf(room, id)))}.href`;
          if (file === undefined) return `${at(relative(folder, id))}.href`;
          const target = resolve(dirname(id), file);
          const name = names.get(target);
          return at(name === undefined ? relative(folder, target) : `./${name}.cjs`);
        },
      );
    },
  };
}

/** The modules of LEFT_OUT are empty. @throws if one of them is loaded by others than what only passes it on */
const leaveOut = {
  name: 'leave-out',
  load(id) {
    return Object.keys(LEFT_OUT).some((folder) => id.includes(folder)) ? 'module.exports = {};' : null;
  },
  buildEnd() {
    for (const id of this.getModuleIds()) {
      const [, passedOnBy] = Object.entries(LEFT_OUT).find(([folder]) => id.includes(folder)) ?? [];
      if (passedOnBy === undefined) continue;
      const { importers } = this.getModuleInfo(id);
      if (!importers.every((importer) => importer.endsWith(passedOnBy)))
        throw new Error(`${id} is needed, and left out`);
    }
  },
};

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
    plugins: [keepPlaces(root), leaveOut],
    // Of a room whose entrance is imported for one function the rest is left out.
    treeshake: { moduleSideEffects: (id) => (isOurs(root, id) && !started.has(id) ? false : undefined) },
    output: {
      dir: folder,
      // Only of scripts can be kept what V8 has compiled.
      format: 'cjs',
      entryFileNames: '[name]-[hash].cjs',
      // Errors are distinguished by the names of their classes.
      keepNames: true,
      chunkFileNames: '[name]-[hash].cjs',
      // Each process holds the text of what it has loaded: in one byte for each character, if all are of ASCII.
      charset: 'ascii',
      comments: { jsdoc: false, annotation: false, legal: true },
    },
    logLevel: 'warn',
  });
  const parts = output.map(({ fileName, moduleIds = [] }) => [fileName, moduleIds.map((id) => relative(root, id))]);
  writeWhole(join(folder, 'parts.json'), Object.fromEntries(parts));
  writeTextWhole(join(folder, LOADER), readFileSync(join(root, 'config/setup', LOADER), 'utf8'));
  // A program's own name stays, whatever it is made of.
  const entriesOf = output.filter(({ isEntry }) => isEntry);
  for (const { name, fileName } of entriesOf) {
    writeTextWhole(
      join(folder, `${name}.cjs`),
      `module.exports = require('./${LOADER}').run(__dirname, '${name}', '${fileName}');\n`,
    );
  }
  // What was compiled beside it, as tests are, makes no other bundle.
  const modules = output.flatMap(({ moduleIds = [] }) => moduleIds);
  const isIn = (project) => modules.some((id) => id.startsWith(join(root, dirname(project)) + sep));
  const madeOf = Object.fromEntries(times.filter(([file]) => !file.endsWith('.tsbuildinfo') || isIn(file)));
  const files = [LOADER, ...entriesOf.map(({ name }) => `${name}.cjs`), ...output.map(({ fileName }) => fileName)];
  // A process that runs loads some files later: those of the last bundle stay until the next.
  const kept = new Set([...files, ...before, 'bundled.json', 'parts.json']);
  for (const file of readdirSync(folder)) if (!kept.has(file)) rmSync(join(folder, file), { recursive: true });
  writeWhole(recordOf(root), { madeOf, node: process.version, files });
  await keepCompiled(root);
}

/**
 * Has the programs of the bundle write a file, by an embedded Redis of their own, and keep what V8 has compiled of them.
 * Where they cannot, nothing is kept, and each start compiles anew.
 */
async function keepCompiled(root) {
  const command = join(bundleOf(root), 'penstock.cjs');
  if (!existsSync(command)) return;
  const home = mkdtempSync(join(tmpdir(), 'penstock-bundle-'));
  // The settings of who runs set-up may name another Redis, or another directory.
  const { PATH, REDIS_SERVER } = process.env;
  const env = {
    PATH,
    HOME: home,
    PENSTOCK_KEEP_COMPILED: '1',
    ...(REDIS_SERVER === undefined ? {} : { REDIS_SERVER }),
  };
  const args = [command, 'write', 'a-file', '--size', '4KiB', '--data', join(home, 'data')];
  try {
    await promisify(execFile)(process.execPath, args, { env, timeout: KEEPING_MS_MAX });
  } catch {
    // no Redis server, or none that starts here
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
  removePartials(join(bundleOf(root), 'compiled'));
}

/** What a thread was writing as it was ended. */
function removePartials(folder) {
  if (!existsSync(folder)) return;
  const partials = readdirSync(folder, { recursive: true }).filter((file) => file.endsWith('.partial'));
  for (const file of partials) rmSync(join(folder, file));
}
