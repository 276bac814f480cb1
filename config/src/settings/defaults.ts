/** The defaults of all settings, and why. */
import { availableParallelism, homedir, hostname } from 'node:os';
import { join } from 'node:path';
import { ANY_HOST } from '@penstock/contract';

/** Threads hide each other's open, fallocate and rename; more than four gain nothing on one device. */
export const THREADS: number = Math.min(4, Math.max(1, availableParallelism()));
/** iocbs in flight per thread. Two threads of 64 stay below the 256 tags of a common device queue. */
export const DEPTH = 64;
/** Writes that run at once on one thread. */
export const JOBS = 32;
/** Row memory of the whole host, split among its threads; only rows that are used take up memory. */
export const MEMORY_BYTES = 268_435_456;
/** BullMQ's own: renewed every third of it, so a host may be silent for that long before it loses a job. */
export const LOCK_DURATION_MS = 30_000;
/** How long a job waits for space, a file's lock or descriptors: a person has to notice a full disk, and free it. */
export const WAIT_MS_MAX = 3_600_000;
/** What a crash makes a write repeat at most: a flush every so many bytes is lost among their rows. */
export const CHECKPOINT_BYTES = 67_108_864;
/** A disk may hold a write for seconds; one that is known to be silent is waited for no longer. */
export const STOP_GRACE_MS = 10_000;
/** The root that requests name by default, below the data directory. */
export const ROOT_NAME = 'data';
/**
 * Where other processes of this machine put segments of shared memory to be written; Linux mounts a tmpfs there. Every
 * user may make names in it, so each user's hosts have one of their own.
 */
export const SHM_DIRECTORY: string = `/dev/shm/penstock-${process.getuid!()}`;
/** Where `penstock up` serves its dashboards: loopback only. */
export const GATEWAY_ADDRESS = '127.0.0.1';
export const GATEWAY_PORT = 4460;

/** Where the embedded Redis and the default root live: PENSTOCK_DATA, else the user's data directory. */
export function dataDirectory(env: NodeJS.ProcessEnv): string {
  if (env['PENSTOCK_DATA']) return env['PENSTOCK_DATA'];
  return join(env['XDG_DATA_HOME'] || join(homedir(), '.local', 'share'), 'penstock');
}

/**
 * The name other machines know this host by, as far as it can be part of a queue's name: what a host's name cannot have
 * there becomes "-".
 */
export function hostName(machine: string = hostname()): string {
  const name = machine.replaceAll(/[^\w.-]/g, '-').slice(0, 128);
  return name === '' || name === ANY_HOST ? `host-${name}` : name;
}
