// Loads the files of the bundle, beside which it is put: each by what V8 made of it before, if that is kept, as most of a
// start is compiling. In a process, or a thread, that is started to be recorded it keeps what V8 has compiled.
'use strict';
const { mkdirSync, readFileSync, renameSync, writeFileSync } = require('node:fs');
const { createRequire } = require('node:module');
const vm = require('node:vm');
const { getEnvironmentData, isMainThread, setEnvironmentData } = require('node:worker_threads');
const { crc32 } = require('node:zlib');

/** Set for a process whose compiled code is kept. Its threads may have another environment. */
const RECORDING = 'PENSTOCK_KEEP_COMPILED';
/** A thread may be ended at any time: what it has compiled is kept as it goes. */
const RECORD_MS = 50;
const SUM_BYTES = 4;

/** Of the source and of what was made of it: V8 trusts what it is given, and a part of it would end the process. */
const sumOf = (source, compiled) => crc32(compiled, crc32(source));

/**
 * What V8 made of `source` in another process; undefined if that is not kept, or not whole.
 *
 * @param {string} file
 * @param {Buffer} source
 * @returns {Buffer | undefined}
 */
function readCompiled(file, source) {
  // Node 22.0 and 22.1 have no such sum.
  if (crc32 === undefined) return undefined;
  let kept;
  try {
    kept = readFileSync(file);
  } catch {
    return undefined;
  }
  if (kept.length <= SUM_BYTES) return undefined;
  const compiled = kept.subarray(SUM_BYTES);
  return kept.readUInt32LE(0) === sumOf(source, compiled) ? compiled : undefined;
}

/**
 * @param {string} file
 * @param {Buffer} source
 * @param {Buffer} compiled
 */
function keepCompiled(file, source, compiled) {
  const sum = Buffer.alloc(SUM_BYTES);
  sum.writeUInt32LE(sumOf(source, compiled));
  const partial = `${file}.${process.pid}.partial`;
  writeFileSync(partial, Buffer.concat([sum, compiled]));
  renameSync(partial, file);
}

/**
 * A file of the bundle as a function. What another Node made of it is not taken, and nothing is lost but time.
 *
 * @param {string} path
 * @param {Buffer} source
 * @param {Buffer | undefined} cachedData
 */
function scriptOf(path, source, cachedData) {
  // As in the modules that it was made of, all of it is strict.
  const text = `(function (exports, require, module, __filename, __dirname) { 'use strict'; ${source.latin1Slice()}\n})`;
  const importModuleDynamically = vm.constants?.USE_MAIN_CONTEXT_DEFAULT_LOADER;
  return new vm.Script(text, { filename: path, cachedData, importModuleDynamically });
}

/**
 * Runs the file `entry` of the bundle `folder` as the program or the thread `name`; what it exports.
 *
 * @param {string} folder
 * @param {string} name
 * @param {string} entry
 */
function run(folder, name, entry) {
  const compiledFolder = `${folder}/compiled/${name}`;
  const requireOther = createRequire(`${folder}/${entry}`);
  const modules = new Map();
  const recorded = [];

  function load(file) {
    const known = modules.get(file);
    if (known !== undefined) return known.exports;
    const module = { exports: {} };
    modules.set(file, module);
    try {
      execute(file, module);
    } catch (error) {
      modules.delete(file); // for want of a descriptor, perhaps: the next one who asks for it is to get it whole
      throw error;
    }
    return module.exports;
  }

  function execute(file, module) {
    const path = `${folder}/${file}`;
    const source = readFileSync(path);
    const compiledFile = `${compiledFolder}/${file}`;
    const script = scriptOf(path, source, readCompiled(compiledFile, source));
    if (isRecorded) {
      recorded.push({ compiledFile, source, script });
      // A thread may be ended by what it reports first, in the midst of this.
      if (!isMainThread) keepCompiled(compiledFile, source, script.createCachedData());
    }
    const body = script.runInThisContext();
    body.call(module.exports, module.exports, requireOf, module, path, folder);
  }

  const requireOf = (id) => (id.startsWith('./') ? load(id.slice(2)) : requireOther(id));

  const isRecorded = crc32 !== undefined && isRecording();
  if (!isRecorded) return load(entry);
  const record = () => {
    for (const { compiledFile, source, script } of recorded)
      keepCompiled(compiledFile, source, script.createCachedData());
  };
  mkdirSync(compiledFolder, { recursive: true });
  if (isMainThread) process.on('exit', record);
  const exported = load(entry);
  if (isMainThread) return exported;
  record();
  setInterval(record, RECORD_MS).unref();
  return exported;
}

function isRecording() {
  if (!isMainThread) return getEnvironmentData(RECORDING) === true;
  if (process.env[RECORDING] !== '1') return false;
  setEnvironmentData(RECORDING, true);
  return true;
}

module.exports = { run, scriptOf, readCompiled, keepCompiled };
