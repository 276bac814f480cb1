// Finds the tools that npm does not carry, on this system or in Debian packages unpacked below .cache, and records them in
// .cache/native.json: {redis: {bin, env?}, libaio: <path>, chromium: {bin, env?}, strace: {bin, env?}, missing: {<tool>: <why>}}.
import { existsSync, mkdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { PrivateApt } from './debian.mjs';
import { installCommand } from './distribution.mjs';
import { writeWhole } from './files.mjs';
import { programs, tools } from './tools.mjs';

/** After this time a tool that was not to be had is looked for again, and only then, lest each run cost a download. */
const RETRY_AFTER_MS = 60 * 60 * 1000;

const recordFile = (cache) => join(cache, 'native.json');

function readRecord(cache) {
  try {
    return JSON.parse(readFileSync(recordFile(cache), 'utf8'));
  } catch {
    return {};
  }
}

const fileMark = (file) => {
  const { size, mtimeMs } = statSync(file, { throwIfNoEntry: false }) ?? {};
  return `${size} ${mtimeMs}`;
};

function given(tool) {
  const name = process.env[tools[tool].variable ?? ''];
  return name && !name.includes('/') ? (programs([name])[0] ?? name) : name;
}

const marks = (files) => files.map((file) => `${file} ${fileMark(file)}`).join(' ');

/** What a search depends on: if it is the same as when the tool was recorded, searching again would find the same. */
const circumstances = (tool, bin) => (bin ? `${given(tool) ?? ''} ${fileMark(bin)}` : marks(tools[tool].onSystem()));

const binOf = (entry) => (typeof entry === 'string' ? entry : entry?.bin);

function isKnown(record, tool) {
  const bin = binOf(record[tool]);
  if (bin) return existsSync(bin) && record.seen?.[tool]?.circumstances === circumstances(tool, bin);
  // Nothing runs without a Redis, so that one is looked for until it is there.
  if (tool === 'redis' && !process.env.PENSTOCK_REDIS_URL) return false;
  const seen = record.seen?.[tool];
  return (
    record.missing?.[tool] !== undefined &&
    seen?.circumstances === circumstances(tool) &&
    Math.abs(Date.now() - seen.at) < RETRY_AFTER_MS
  );
}

/** True if each of these tools was found, or was looked for in vain not long ago, and nothing changed since. */
export function toolsAreKnown(cache, wanted) {
  const record = readRecord(cache);
  return wanted.every((tool) => isKnown(record, tool));
}

/** The first of these files that works; adds to `refused` why others do not. */
function firstThatWorks(cache, tool, files, env, refused) {
  for (const bin of files) {
    try {
      tools[tool].tryOut({ bin, env, scratch: cache });
      return env ? { bin, env } : { bin };
    } catch (error) {
      refused.push(`${bin}: ${error.message}`);
    }
  }
  return null;
}

const treeOf = (cache, tool) => join(cache, 'debian', tool);

function findUnpacked(cache, tool, refused) {
  const tree = treeOf(cache, tool);
  if (!existsSync(tree)) return null;
  const files = tools[tool].unpacked(tree).filter((file) => existsSync(file));
  return firstThatWorks(cache, tool, files, tools[tool].env?.(tree), refused);
}

/** Finds a tool on this system, among what is unpacked, or in the distribution's packages, in this order. */
async function find(cache, tool, refused, fetch) {
  if (given(tool)) return firstThatWorks(cache, tool, [given(tool)], undefined, refused);
  const found =
    firstThatWorks(cache, tool, tools[tool].onSystem(), undefined, refused) ?? findUnpacked(cache, tool, refused);
  if (found || programs(['apt-get']).length === 0 || programs(['dpkg-deb']).length === 0) return found;
  const failure = await fetch().catch((error) => error.message);
  if (failure) refused.push(failure);
  const unpacked = findUnpacked(cache, tool, refused);
  if (!unpacked) rmSync(treeOf(cache, tool), { recursive: true, force: true });
  return unpacked;
}

/**
 * Finds those of the tools that are not known, and records each in .cache/native.json, or why it is missing.
 * Throws if there is no Redis to be had: everything else can be done without.
 *
 * @param {string} cache
 * @param {string[]} wanted names of tools
 * @param {(text: string) => void} say
 * @param {(title: string, command: string, args: string[], options?: object) => Promise<void>} run
 */
export async function findTools(cache, wanted, say, run) {
  mkdirSync(cache, { recursive: true });
  const record = { missing: {}, seen: {}, ...readRecord(cache) };
  let apt = null;
  try {
    for (const tool of wanted) {
      if (isKnown(record, tool)) continue;
      const refused = [];
      const found = await find(cache, tool, refused, () => {
        apt ??= new PrivateApt(cache, run);
        return apt.unpack(tools[tool].debian, treeOf(cache, tool), (count) =>
          say(`unpacking ${tool} (${count} Debian packages) into .cache, nothing is installed system-wide`),
        );
      });
      delete record[tool];
      delete record.missing[tool];
      if (found) record[tool] = tool === 'libaio' ? found.bin : found;
      else
        record.missing[tool] = [`${tool} was not found`, ...refused, `to have it: ${installCommand(tool)}`].join('; ');
      record.seen[tool] = { at: Date.now(), circumstances: circumstances(tool, found?.bin) };
      // After each one, so that an interrupted run keeps what it has.
      writeWhole(recordFile(cache), record);
      if (!found) say(`${record.missing[tool]} (${tools[tool].without})`);
    }
  } finally {
    apt?.close();
  }
  if (record.missing.redis && !process.env.PENSTOCK_REDIS_URL) throw new Error('a Redis is needed, see above');
}
