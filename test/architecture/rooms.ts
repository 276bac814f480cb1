/** Which room may import which, and a reader of the source tree that finds where that is not kept. */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { findAgainstOrder, findCircles, importedFiles } from './inside.ts';

const libs = ['aio', 'contract', 'digest', 'disk', 'matrix', 'native', 'queue', 'redis', 'sink', 'sources'];

/** Folder of each room, and the rooms it may import: towards the contract, and never an app. */
const mayImport: Record<string, readonly string[]> = {
  'libs/contract': [],
  'libs/native': [],
  'libs/disk': ['contract', 'native'],
  'libs/aio': ['contract', 'native'],
  'libs/matrix': ['contract', 'native'],
  'libs/sources': ['contract'],
  'libs/digest': ['contract'],
  'libs/sink': ['aio', 'contract', 'digest', 'disk', 'matrix', 'native', 'sources'],
  'libs/queue': ['contract'],
  'libs/redis': ['contract'],
  'workers/writer': ['aio', 'contract', 'disk', 'matrix', 'native', 'sink'],
  'workers/fetcher': ['contract', 'matrix'],
  'libs/penstock': ['contract', 'matrix', 'queue', 'writer'],
  config: ['contract', 'disk', 'queue', 'redis'],
  'apps/host': [...libs, 'config', 'fetcher', 'writer'],
  'apps/gateway': [...libs, 'config'],
  'apps/cli': [...libs, 'config', 'penstock'],
  test: [...libs, 'config', 'penstock', 'writer'],
};

/**
 * The folders of each room's `src`, from bottom to top: a folder imports only those before it. A name with `.ts` is one
 * file that stands beside the folders, `.` all others that do; without a `.` they are on top, as index.ts and main.ts are.
 */
export const foldersOf: Record<string, readonly string[]> = {
  'libs/contract': ['text', 'fields', 'errors', 'report', 'request'],
  'libs/matrix': ['aligned.ts', 'arena.ts', 'ring'],
  'libs/sources': ['source.ts', 'patterns'],
  'libs/sink': [
    'attempt',
    'device',
    'append',
    'origin',
    'target',
    'space',
    'earlier',
    'thread',
    'durable',
    'rows',
    'intake',
    'verify',
    'small',
    'write',
    'bulk',
  ],
  'libs/queue': [
    'names.ts',
    'connection',
    'hosts',
    'capacity',
    'records',
    'jobs',
    'flow',
    'wait',
    'watch',
    'steer',
    'inspect',
    'produce',
    'ends',
    'work',
  ],
  'libs/redis': ['errors', 'directory', 'server'],
  'workers/writer': ['protocol.ts', 'thread', 'death', 'freeing', 'pool'],
  'libs/penstock': ['arguments', 'run', 'stream'],
  config: ['process', 'settings', 'tuning'],
  'apps/host': ['admission', 'left-parts', 'roots'],
  'apps/cli': [
    'terminal',
    'processes',
    'verify',
    'job',
    'demo',
    'doctor',
    'listing',
    'calibrate',
    'commands/jobs',
    'commands/steer',
    'commands',
  ],
};

/** What only the tests of a room may import besides: the queue is tried on a real server. */
const testsMayImport: Record<string, readonly string[]> = { 'libs/queue': ['redis'] };

/** Packages that one file alone may import: the boundary they stand for is that file. */
const soleImporters: Record<string, string> = {
  koffi: 'libs/native/src/libc.ts',
  '@node-rs/crc32': 'libs/digest/src/crc32c.ts',
};

/** Folders that hold no sources of this repository. */
const skippedFolders = new Set(['node_modules', 'dist', '.git', '.cache', '.nx', '.jest-cache', '.penstock']);

/** Paths below `folder`, relative to `root`, of all files that are not generated. */
export function filesBelow(root: string, folder: string): string[] {
  const files: string[] = [];
  for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory() && !skippedFolders.has(entry.name)) files.push(...filesBelow(root, path));
    else if (entry.isFile()) files.push(path);
  }
  return files;
}

// Whichever begins first wins, so that a '//' in a string begins no comment and a quote in a comment no string.
const commentOrString = /\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\[\s\S]|[^`\\])*`/g;

const beforeSpecifier = /(?:\bfrom|\bimport|\bimport\s*\(|\brequire\s*\()\s*$/;

/** What the source text imports: types as well, by statement, by `import()` or by `require()`. */
export function importsIn(source: string): string[] {
  const specifiers: string[] = [];
  for (const { 0: token, index } of source.matchAll(commentOrString))
    if (!token.startsWith('/') && beforeSpecifier.test(source.slice(Math.max(0, index - 20), index)))
      specifiers.push(token.slice(1, -1));
  return specifiers;
}

/** The program without what its comments and strings say. */
const codeOf = (source: string): string =>
  source.replace(commentOrString, (token) => (token.startsWith('/') ? ' ' : "''"));

const isTest = (file: string): boolean => /\.(?:test|fixture)\.ts$/.test(file);

/** 'koffi' of 'koffi', '@bull-board/api' of '@bull-board/api/bullMQAdapter'. */
function packageOf(specifier: string): string {
  const parts = specifier.split('/');
  return parts.slice(0, specifier.startsWith('@') ? 2 : 1).join('/');
}

/** 'aio' of '@penstock/aio', 'penstock' of the one package that goes by its own name; null for packages of others. */
function roomOf(name: string): string | null {
  if (name === 'penstock') return name;
  return name.startsWith('@penstock/') ? name.slice('@penstock/'.length) : null;
}

interface Manifest {
  dependencies?: Record<string, string>;
  devDependencies?: Record<string, string>;
}

const readJson = (file: string): unknown => JSON.parse(readFileSync(file, 'utf8'));

const readManifest = (root: string, folder: string): Manifest =>
  readJson(join(root, folder, 'package.json')) as Manifest;

/** Names that the room's own package.json depends on, and in its tests those of the workspace's. */
function declaredPackages(root: string, room: string, file: string): Set<string> {
  const { dependencies, devDependencies } = readManifest(root, room);
  const shared = isTest(file) || room === 'test' ? readManifest(root, '.').devDependencies : {};
  return new Set(Object.keys({ ...dependencies, ...devDependencies, ...shared }));
}

function referencedFolders(root: string, room: string): Set<string> {
  const { references } = readJson(join(root, room, 'tsconfig.json')) as { references?: { path: string }[] };
  return new Set((references ?? []).map(({ path }) => relative(root, resolve(root, room, path))));
}

function checkImport(root: string, room: string, file: string, specifier: string): string[] {
  if (specifier.startsWith('node:')) return [];
  if (specifier.startsWith('.')) {
    const target = relative(root, resolve(root, dirname(file), specifier));
    return target.startsWith(`${room}/`) ? [] : [`leaves its room by ${specifier}: other rooms go by their name`];
  }
  const name = packageOf(specifier);
  const found: string[] = [];
  if (soleImporters[name] !== undefined && soleImporters[name] !== file)
    found.push(`imports ${name}, which ${soleImporters[name]} alone does`);
  if (!declaredPackages(root, room, file).has(name))
    found.push(`imports ${name}, which its package.json does not name`);
  const other = roomOf(name);
  if (other === null) return found;
  const allowed = [...mayImport[room]!, ...(isTest(file) ? (testsMayImport[room] ?? []) : [])];
  if (!allowed.includes(other))
    found.push(`imports ${specifier}: ${room} may import ${allowed.join(', ') || 'no room'}`);
  const folder = Object.keys(mayImport).find((candidate) => basename(candidate) === other);
  if (folder === undefined) found.push(`imports ${specifier}, which is no room`);
  // Without the reference a fresh checkout would be compiled in the wrong order, or not at all.
  else if (!referencedFolders(root, room).has(folder))
    found.push(`imports ${specifier}, which its tsconfig.json does not reference`);
  return found;
}

/**
 * Libraries and workers take values: what they read themselves cannot be set by who calls them.
 * To hand the whole environment on to a child process, `...process.env`, is no reading.
 */
function checkEnvironment(room: string, file: string, source: string): string[] {
  if (!/^(?:libs|workers)\//.test(room) || isTest(file)) return [];
  const importsIt = /\bimport\b[^;]*\benv\b[^;]*\bfrom\s*['"](?:node:)?process['"]/.test(source);
  return importsIt || /(?<!\.\.\.)\bprocess\.env\b/.test(codeOf(source)) ? ['reads process.env'] : [];
}

function checkRoom(root: string, room: string): string[] {
  const found: string[] = [];
  const imports = new Map<string, string[]>();
  for (const file of filesBelow(root, room)) {
    if (!file.endsWith('.ts')) continue;
    const source = readFileSync(join(root, file), 'utf8');
    const specifiers = importsIn(source);
    const inRoom = relative(room, file);
    imports.set(inRoom, importedFiles(inRoom, specifiers));
    const complaints = specifiers.flatMap((specifier) => checkImport(root, room, file, specifier));
    complaints.push(...checkEnvironment(room, file, source));
    found.push(...complaints.map((complaint) => `${file} ${complaint}`));
  }
  found.push(...findAgainstOrder(imports, foldersOf[room] ?? []).map((sentence) => `${room}: ${sentence}`));
  found.push(...findCircles(imports).map((circle) => `${room}: files import one another in a circle: ${circle}`));
  return found;
}

/** A folder without a package.json is none: another commit's dist/ may have been left there. */
const isRoom = (root: string, folder: string): boolean => existsSync(join(root, folder, 'package.json'));

/** Every place of the tree at `root` where a boundary is not kept, one sentence each, naming the file. */
export function findViolations(root: string): string[] {
  const rooms = Object.keys(mayImport).filter((room) => isRoom(root, room));
  const found = rooms.flatMap((room) => checkRoom(root, room));
  for (const parent of ['libs', 'workers', 'apps']) {
    if (!existsSync(join(root, parent))) continue;
    for (const entry of readdirSync(join(root, parent), { withFileTypes: true }))
      if (isRoom(root, `${parent}/${entry.name}`) && mayImport[`${parent}/${entry.name}`] === undefined)
        found.push(`${parent}/${entry.name} is a room of which no direction is known`);
  }
  return found;
}
