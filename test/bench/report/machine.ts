/** The machine a bench ran on: what a reader needs to know before comparing figures. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os';
import { basename, join } from 'node:path';
import { Redis } from 'ioredis';
import { type System, checkoutRoot } from '../../support/system.ts';
import { fioVersion } from '../peers/fio.ts';

export interface Machine {
  cpu: string;
  cores: number;
  memoryGiB: number;
  kernel: string;
  node: string;
  redis: string;
  /** Null where it is not installed. */
  fio: string | null;
  /** Of the files that are written. */
  fileSystem: FileSystem;
  /** Of the last minute, before the bench began. */
  loadAverage: number;
  /** The commit of this repository; null without git. */
  commit: string | null;
}

interface FileSystem {
  type: string;
  device: string;
  options: string;
  /** Whether its changes go through a journal of its own; null if nothing reports it. */
  journal: boolean | null;
  /** The block device's attributes below /sys, by name; empty where there is none to be seen. */
  queue: Record<string, string>;
}

export async function describeMachine(system: System): Promise<Machine> {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.version,
    redis: await redisVersion(system.redis.socketPath),
    fio: fioVersion(),
    fileSystem: fileSystemAt(system.data),
    loadAverage: Math.round(loadavg()[0]! * 100) / 100,
    commit: commitOf(checkoutRoot),
  };
}

async function redisVersion(socketPath: string): Promise<string> {
  const client = new Redis(socketPath);
  try {
    return /redis_version:(\S+)/.exec(await client.info('server'))?.[1] ?? 'unknown';
  } finally {
    client.disconnect();
  }
}

/** What a record of the bench itself changes: the commit that was measured stays the same. */
const RECORDED = ['docs/bench', 'docs/bench.md', 'README.md'];

function commitOf(directory: string): string | null {
  const git = (...args: string[]): string | null => {
    const { status, stdout } = spawnSync('git', args, { cwd: directory, encoding: 'utf8' });
    return status === 0 ? stdout.trim() : null;
  };
  const commit = git('rev-parse', '--short', 'HEAD');
  const changes = git('status', '--porcelain', '--', ':/', ...RECORDED.map((path) => `:(top,exclude)${path}`));
  return commit !== null && changes !== '' ? `${commit}-dirty` : commit;
}

/** What `directory` lies on, as mountinfo tells it: proc_pid_mountinfo(5). */
function fileSystemAt(directory: string): FileSystem {
  const device = statSync(directory).dev;
  const number = `${major(device)}:${minor(device)}`;
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').trimEnd().split('\n');
  const mount = mounts.map((line) => line.split(' ')).findLast((fields) => fields[2] === number);
  // btrfs gives its subvolumes numbers of their own, which no mount has.
  if (mount === undefined) return { type: 'unknown', device: number, options: '', journal: null, queue: {} };
  const [type = 'unknown', source = number] = mount.slice(mount.indexOf('-') + 1);
  const queue = queueOf(number);
  return { type, device: source, options: mount[5]!, journal: journalOf(type, number), queue };
}

/** jbd2 lists the journal of each mounted ext4 by its device. */
function journalOf(type: string, number: string): boolean | null {
  if (type === 'xfs') return true;
  if (type !== 'ext4') return null;
  try {
    return existsSync(`/proc/fs/jbd2/${basename(realpathSync(`/sys/dev/block/${number}`))}-8`);
  } catch {
    return null; // a container without /sys
  }
}

// The layout of glibc's dev_t.
const major = (device: number): number => (device >>> 8) & 0xfff;
const minor = (device: number): number => (device & 0xff) | ((device >>> 12) & 0xfff00);

const QUEUE_ATTRIBUTES = [
  'scheduler',
  'nr_requests',
  'max_sectors_kb',
  'logical_block_size',
  'rotational',
  'write_cache',
];

function queueOf(number: string): Record<string, string> {
  try {
    const device = realpathSync(`/sys/dev/block/${number}`);
    // A partition has the queue of the disk it is on.
    const disk = readdirSync(device).includes('partition') ? join(device, '..') : device;
    const read = (name: string): string => readFileSync(join(disk, 'queue', name), 'utf8').trim();
    const attributes = QUEUE_ATTRIBUTES.map((name) => [name, read(name)]);
    return { disk: basename(disk), ...(Object.fromEntries(attributes) as Record<string, string>) };
  } catch {
    return {}; // no block device, or a container without /sys
  }
}
