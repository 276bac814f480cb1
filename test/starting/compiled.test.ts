// What V8 has compiled of the bundle is kept by set-up, and taken at a start: whole, and of the same files, or not at all.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { compiledFolder, isBundled, loadedBy, strace } from './loaded.fixture.ts';
import { cliEntry } from '../support/system.ts';

interface Loader {
  run: (folder: string, name: string, entry: string) => { late: () => { answer: number } };
  readCompiled: (file: string, source: Buffer) => Buffer | undefined;
  keepCompiled: (file: string, source: Buffer, compiled: Buffer) => void;
}

const loaderFile = fileURLToPath(new URL('../../config/setup/loader.cjs', import.meta.url));
const { run, readCompiled, keepCompiled } = createRequire(import.meta.url)(loaderFile) as Loader;
/** Set-up keeps it by running the programs, for which there must be a Redis server. */
const ofCompiled = isBundled && existsSync(compiledFolder) ? test : test.skip;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'compiled-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const source = Buffer.from('exports.answer = 42;');
const compiled = Buffer.from('what V8 made of it');

test('compiled code is taken as it was kept', () => {
  const file = join(folder, 'a.cjs');
  keepCompiled(file, source, compiled);
  expect(readCompiled(file, source)).toEqual(compiled);
});

test('compiled code of another source is not taken, though that is as long', () => {
  const file = join(folder, 'a.cjs');
  keepCompiled(file, source, compiled);
  expect(readCompiled(file, Buffer.from('exports.answer = 43;'))).toBeUndefined();
});

test('compiled code that is cut, changed or not there is not taken', () => {
  const file = join(folder, 'a.cjs');
  expect(readCompiled(file, source)).toBeUndefined();
  keepCompiled(file, source, compiled);
  const whole = readFileSync(file);
  for (const at of whole.keys()) {
    const changed = Buffer.from(whole);
    changed[at]! ^= 0x10;
    writeFileSync(file, changed);
    expect(readCompiled(file, source)).toBeUndefined();
    truncateSync(file, at);
    expect(readCompiled(file, source)).toBeUndefined();
  }
});

test('a file that could not be read is read again when it is asked for again', () => {
  writeFileSync(join(folder, 'entry.cjs'), "exports.late = () => require('./late.cjs');");
  const { late } = run(folder, 'any', 'entry.cjs');
  expect(late).toThrow('ENOENT');
  writeFileSync(join(folder, 'late.cjs'), 'exports.answer = 42;');
  expect(late().answer).toBe(42);
});

ofCompiled('V8 takes what was kept of every program and thread that writes', () => {
  const program = `
    const { readdirSync, readFileSync } = require('node:fs');
    const { readCompiled, scriptOf } = require(${JSON.stringify(loaderFile)});
    const bundle = ${JSON.stringify(join(compiledFolder, '..'))};
    for (const name of ['penstock', 'host', 'roots-asker', 'writer']) {
      for (const file of readdirSync(bundle + '/compiled/' + name)) {
        const source = readFileSync(bundle + '/' + file);
        const kept = readCompiled(bundle + '/compiled/' + name + '/' + file, source);
        const { cachedDataRejected } = scriptOf(bundle + '/' + file, source, kept);
        console.log(name, kept === undefined || cachedDataRejected ? file + ' is refused' : 'taken');
      }
    }`;
  // A process of its own: V8 takes no cache of what it has in memory already.
  const said = new Set(execFileSync(process.execPath, ['-e', program], { encoding: 'utf8' }).trimEnd().split('\n'));
  expect(said).toEqual(new Set(['penstock taken', 'host taken', 'roots-asker taken', 'writer taken']));
});

(strace === null ? test.skip : ofCompiled)('a command reads what was compiled of all files that it loads', () => {
  const { files, compiled: read } = loadedBy([cliEntry, 'write', '--help']);
  const ofBundle = files.filter((file) => /dist\/bundle\/.*-.*\.cjs$/.test(file));
  expect(ofBundle.length).toBeGreaterThan(10);
  expect(read).toHaveLength(ofBundle.length);
});
