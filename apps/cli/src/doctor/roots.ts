/** The roots: whether they can be used, and how a real write goes there. */
import { randomBytes } from 'node:crypto';
import { accessSync, closeSync, constants, existsSync, openSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { type AioEngine, AioLoop, type OpenedEngine, openEngine } from '@penstock/aio';
import { type WriteResult, formatBytes, toWire } from '@penstock/contract';
import { parseRequest } from '@penstock/contract/judging';
import { Arena, Control, HUGE_PAGE_BYTES, createArenaMemory } from '@penstock/matrix';
import { NO_JOB, WriterThread, runWrite } from '@penstock/sink';
import {
  type RootConfig,
  Roots,
  fileSystemOf,
  forgetsFreed,
  groundOf,
  mountOf,
  nearestExisting,
  readMounts,
  statFd,
} from '@penstock/disk';
import { type Finding, broken, fail, ok, warn } from './finding.ts';
import type { RootStage } from './root-process.ts';
import { checkSpace } from './space.ts';
import { findStrayFiles } from './stray.ts';

const PROBE_BYTES = 8192;

export interface RootCheckOptions {
  /** The host makes the root if it is missing. */
  isMade?: boolean;
  /** Called with what is checked next, which may take as long as the file system does. */
  next?: (stage: RootStage) => Promise<void>;
}

/** What is found of one root, as it is found. */
export async function* checkRoot(
  root: RootConfig,
  libaioFile: string | undefined,
  { isMade = true, next = async () => {} }: RootCheckOptions = {},
): AsyncGenerator<Finding, void, void> {
  const what = `root ${root.name}`;
  await next('the directory');
  const directory = nearestExisting(root.path); // the host makes the default root; its parent can be checked
  try {
    const place = checkPlace(what, root, directory, isMade);
    yield place;
    if (place.verdict === 'fail') return;
    if (root.writable) {
      await next('a real write');
      yield await checkWriting(what, { ...root, path: directory }, libaioFile);
      yield* checkJournal(what, directory);
      await next('the space');
      yield* checkSpace(what, directory, readMounts());
    }
    await next('partial files');
    yield* await checkStrayFiles(what, root.path);
  } catch (error) {
    yield broken(what, error, `look at ${directory}`);
  }
}

function checkPlace(what: string, root: RootConfig, directory: string, isMade: boolean): Finding {
  if (!isMade && !existsSync(root.path))
    return fail(what, `${root.path} is not there`, `make it, or name another directory: mkdir -p ${root.path}`);
  const mount = mountOf(readMounts(), directory);
  const on = mount === undefined ? '' : `, ${mount.fileSystem} on ${mount.source}`;
  const missing = existsSync(root.path) ? '' : ' (not there yet: the host makes it)';
  const place = `${root.path}${root.writable ? '' : ' (read only)'}${missing}${on}`;
  try {
    accessSync(directory, constants.R_OK | constants.X_OK | (root.writable ? constants.W_OK : 0));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EROFS')
      return fail(
        what,
        `${place}: its file system is read-only`,
        `see \`dmesg\` for why, then: mount -o remount,rw ${mount?.directory ?? directory}; until then its jobs wait, or go to other hosts`,
      );
    const user = process.getuid?.() ?? 0;
    return fail(
      what,
      `${place}: not ${root.writable ? 'writable' : 'readable'} for user ${user}`,
      `give it to the user that runs the host: chown ${user} ${directory}`,
    );
  }
  return ok(what, place);
}

async function checkWriting(what: string, place: RootConfig, libaioFile: string | undefined): Promise<Finding> {
  const { result, reported } = await probe(place, libaioFile);
  const { memory, offset } = result.alignment;
  const source = reported ? 'by statx' : 'assumed: statx does not tell';
  const found = `${result.mode} (${result.engine}), aligned to ${memory} in memory and ${offset} in the file (${source})`;
  if (result.fallbackReason === undefined) return ok(`${what}: writing`, found);
  const remedy =
    result.durable === false
      ? 'what is written there is gone after a power loss, whatever its durability: put the root on a disk'
      : result.mode === 'aio-direct'
        ? 'writes are correct'
        : 'writes are correct but slower; ext4 and XFS on a real disk take direct asynchronous I/O';
  return warn(`${what}: writing`, `${result.mode} (${result.engine}): ${result.fallbackReason}`, remedy);
}

/** A real write through the sink, in this thread, under a name that nobody else uses; and whether statx reported the alignment. */
async function probe(
  { path: directory, direct = 'auto' }: RootConfig,
  libaioFile: string | undefined,
): Promise<{ result: WriteResult; reported: boolean }> {
  const name = `.penstock-doctor-${randomBytes(6).toString('hex')}.part`;
  const roots = new Roots([{ name: 'data', path: directory, writable: true, direct }]);
  let engine: AioEngine | null = null;
  try {
    const opened = openProbe(libaioFile);
    const own = opened.engine;
    engine = own;
    const result = await new Promise<WriteResult>((resolve, reject) => {
      const thread = new WriterThread({
        engine: own,
        loop: new AioLoop(own, reject),
        arena: new Arena(createArenaMemory(HUGE_PAGE_BYTES)),
        roots,
        index: 0,
        engineReason: opened.reason,
      });
      const request = parseRequest({ path: name, size: PROBE_BYTES, mode: 'create' });
      const attempt = { attemptToken: randomBytes(4).toString('hex'), again: false, job: NO_JOB };
      const order = { request, jobKey: 'doctor', ...attempt };
      runWrite(thread, order, new Control(1, 1).job(0)).then(resolve, reject);
    });
    return { result, reported: statxReports(join(directory, name)) };
  } finally {
    engine?.destroy();
    roots.close();
    if (existsSync(join(directory, name))) unlinkSync(join(directory, name));
  }
}

/** The engine that a host's threads would have. */
function openProbe(libaioFile: string | undefined): OpenedEngine {
  const order = { depth: 8, libaio: libaioFile };
  try {
    return openEngine({ choice: 'auto', ...order });
  } catch (error) {
    const reason = `no context can be had now (${toWire(error).message}), see above`;
    return { ...openEngine({ choice: 'positional', ...order }), reason };
  }
}

const hiddenGround = (what: string): Finding =>
  warn(
    `${what}: power loss`,
    'an overlay, and what takes its writes cannot be seen from here: it may be memory, or a disk without a journal',
    'put the root on a volume',
  );

/** Whether a repair after a power loss may destroy what has been acknowledged. */
function checkJournal(what: string, directory: string): Finding[] {
  const fd = openSync(directory, 'r');
  try {
    const fileSystem = fileSystemOf(fd, directory);
    const { device } = statFd(fd, directory);
    if (groundOf(fd, fileSystem, device).isHidden) return [hiddenGround(what)];
    if (!forgetsFreed(fileSystem, device)) return [];
  } finally {
    closeSync(fd);
  }
  return [
    warn(
      `${what}: power loss`,
      'ext4 or ext2, and no journal in it is to be seen: what other programs remove or cut is not flushed with our files',
      'prefer a journal (tune2fs -j on the unmounted disk). After a power loss repair with e2fsck -p first; before e2fsck -y, mount it read-only and copy what matters: see docs/filesystems.md',
    ),
  ];
}

function statxReports(path: string): boolean {
  const fd = openSync(path, 'r');
  try {
    return statFd(fd, path).directAlignment !== null;
  } finally {
    closeSync(fd);
  }
}

async function checkStrayFiles(what: string, path: string): Promise<Finding[]> {
  if (!existsSync(path)) return [];
  const { paths, bytes, complete } = await findStrayFiles(path);
  const looked = complete ? '' : ' among the first 50000 entries';
  if (paths.length === 0) return [ok(`${what}: partial files`, `none older than a day${looked}`)];
  return [
    warn(
      `${what}: partial files`,
      `${paths.length} older than a day${looked}, ${formatBytes(bytes)}: ${paths[0]}${paths.length > 1 ? ', …' : ''}`,
      `left by killed hosts, of no use to anybody: find ${path} -name '.penstock-*.part' -mtime +0 -delete`,
    ),
  ];
}
