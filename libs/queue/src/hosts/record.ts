/** What a host reports of itself, and what is known of one by that. */

/** What a host is at: taking jobs, ending what it has of them, or gone in good order. */
export type HostState = 'starting' | 'running' | 'draining' | 'stopped';

/** Which process a host is. */
export interface HostProcess {
  /** Its number. */
  pid: number;
  /** Its machine's name. */
  machine: string;
}

/** A root of a host. What its file system has not answered yet is null. */
export interface HostRoot {
  /** As requests name it. */
  name: string;
  /** Where it is on the host. */
  path: string;
  /** False if jobs may only read from it. */
  writable: boolean;
  /** The type of its file system, like ext4. */
  fileSystem: string | null;
  /** What is mounted there, like /dev/sda1. */
  source: string | null;
  /** Bytes that the host may still write, as it last asked; null also of a root that is only read. */
  freeBytes: number | null;
  /** Bytes of the whole file system; 0 if it does not report them. */
  totalBytes: number | null;
  /** The disk's number, major:minor. */
  device: string | null;
  /** How many requests that takes at once; null also if the kernel does not report it. */
  tags: number | null;
  /** False if the host writes it through the page cache, by its settings (`--direct off`). */
  direct: boolean;
  /** Whether the host writes it as `penstock calibrate` measured it. */
  calibrated: boolean;
}

/** What a host measures of itself. */
export interface HostVitals {
  /** Of Penstock. */
  version: string;
  /** Writer threads that it may run, of all its file systems. */
  threadsMax: number;
  /** Those that run: each is started when it is wanted. */
  threads: number;
  /** iocbs that a thread may have in flight. */
  depth: number;
  /** iocbs that are in flight, of all threads. */
  inFlight: number;
  /** AIO contexts that its threads have: one for each that has written. */
  aioContexts: number;
  /** Writes that may run at once on one thread. */
  jobs: number;
  /** Writes that may run at once in all: all threads together, also those that have not been wanted yet. */
  runningMax: number;
  /** Writes that run. */
  running: number;
  /** Row memory that it may use. */
  memoryBytes: number;
  /** Row memory that its writes have. */
  memoryUsedBytes: number;
  /** What its disks took, in the last second. */
  bytesPerSecond: number;
  /** Per write iocb, from submit to reap, of the last ten seconds; null if there was none. */
  writeLatencyUs: { p50: number; p99: number } | null;
  /** How late its main thread was at worst in the last second, in milliseconds. */
  eventLoopDelayMs: number;
  /** In the order of its settings. */
  roots: HostRoot[];
  /** What went wrong last outside any single job, and how long before this report; null: nothing did. */
  lastError: { message: string; agoMs: number } | null;
}

/** A host that was there in the last month. */
export interface HostRecord {
  /** As `target.host` names it. */
  name: string;
  /** `silent`: it should report once a second, and has not for ten seconds. */
  state: HostState | 'silent';
  /** True unless it is stopped or silent. */
  alive: boolean;
  /** Milliseconds since 1970, by the host's own clock. */
  startedAtMs: number;
  /** When it last reported, by the clock of Redis; by its own one if it is of an earlier version. */
  seenAtMs: number;
  /** null: a host of an earlier version that did not report it. */
  process: HostProcess | null;
  /** Roots that it cannot use now. */
  sickRoots: string[];
  /** Another process that has this name too; null but between hosts of earlier versions, which did not refuse it. */
  twin: HostProcess | null;
  /** null: a host of an earlier version, which reports none. */
  vitals: HostVitals | null;
}

/** A living host renews its record once a second. */
export const SILENT_MS = 10_000;
/** One of an earlier version did so four times a minute, by its own clock. */
const EARLIER_SILENT_MS = 120_000;

/** What a host writes into its record; `seenAtMs` is added by Redis. */
export interface Report extends HostProcess {
  instance: string;
  startedAtMs: number;
  state: HostState;
  sickRoots: readonly string[];
  vitals: HostVitals | null;
}

type Stored = Partial<Report> & { seenAtMs?: number; twin?: HostProcess };

/** The record that `json` holds. @param nowMs the time of Redis */
export function recordOf(name: string, json: string, nowMs: number): HostRecord {
  const stored = parsed(json);
  const { startedAtMs = 0, seenAtMs = 0, sickRoots = [], twin = null, vitals = null } = stored;
  const silentMs = stored.state === undefined ? EARLIER_SILENT_MS : SILENT_MS;
  const said = stored.state ?? 'running';
  const state = said !== 'stopped' && nowMs - seenAtMs > silentMs ? 'silent' : said;
  return {
    name,
    state,
    alive: state !== 'stopped' && state !== 'silent',
    startedAtMs,
    seenAtMs,
    process: processOf(stored),
    sickRoots: Array.isArray(sickRoots) ? sickRoots.filter((root) => typeof root === 'string') : [],
    twin,
    vitals,
  };
}

function processOf({ pid, machine }: Stored): HostProcess | null {
  return pid === undefined || machine === undefined ? null : { pid, machine };
}

/** Another program may have written there: what cannot be read is a host of which nothing is known. */
function parsed(json: string): Stored {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    return {};
  }
}
