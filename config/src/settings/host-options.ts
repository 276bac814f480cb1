/**
 * The settings of a host that have a flag, one row each. The flags and their help, the settings by them, and the
 * arguments by which a process gives its settings to another are all derived from this table.
 */
import { resolve } from 'node:path';
import { ENGINE_CHOICES, type EngineChoice, formatBytes } from '@penstock/contract';
import * as defaults from './defaults.ts';
import { collectDirect, type DirectChoices, directTexts } from './direct.ts';
import { formatDuration } from './durations.ts';
import { parseGroup } from './groups.ts';
import { checkpoint, collectUrlAllow, duration, memory, parseHostName, wholeNumber } from './option-values.ts';
import { collectRootLimit, parseRate } from './rates.ts';

/** All that a host needs but for its roots. */
export interface FlaggedSettings {
  name: string;
  /** undefined, as with the depth: as calibrated, else the default. tuneHost() decides. */
  threads: number | undefined;
  depth: number | undefined;
  jobs: number;
  memoryBytes: number;
  engine: EngineChoice;
  /** Where segments of shared memory are looked for. */
  shmDirectory: string;
  /** The group whose members may put them there, besides the host's user; undefined: none. */
  shmGroupId: number | undefined;
  /** Networks (192.168.7.0/24), addresses and names that urls may lead to though they are not public. */
  urlAllow: readonly string[];
  /** How long a job stays with a host that fell silent before another takes it up. */
  lockDurationMs: number;
  /** How long a job may wait for what others must end, such as a full disk, without an attempt being counted. */
  waitMsMax: number;
  /** All that the host writes, in bytes per second; 0 is no limit. A limit of the queue goes before it (`penstock limit`). */
  limitBytesPerSecond: number;
  /** The same of roots, by name. */
  rootLimits: Record<string, number>;
  /** What `--direct` chose, as it was given; the roots have the choice for each. */
  direct: DirectChoices;
  /** How long a stopped write may take to end before its job ends without it, in milliseconds. */
  stopGraceMs: number;
  /** A running write records how far it is after so many bytes. */
  checkpointBytes: number;
}

/** A setting as an option of the command line. */
export interface HostOption<Value> {
  /** The flag, and what follows it. */
  flags: string;
  description: string;
  /** The value of a text; `before` is that of the same flag before it, or the default. Without parse the text is the value. */
  parse?(this: void, text: string, before: Value): Value;
  /** The texts that are accepted, if others are not. */
  choices?: readonly string[];
  /** Without a default the setting is undefined. */
  default?: Value;
  /** The default as help shows it, if not as it is. */
  shownDefault?: string;
  /** The texts that give the value back, one for each use of the flag; unless given, the value as a string. */
  textsOf?(this: void, value: Value): readonly string[];
}

/** In the order of the help. */
export const HOST_OPTIONS: { readonly [Setting in keyof FlaggedSettings]: HostOption<FlaggedSettings[Setting]> } = {
  name: {
    flags: '--name <name>',
    description: 'the name of this host, as "target" names it',
    parse: parseHostName,
    default: defaults.hostName(),
  },
  threads: {
    flags: '--threads <n>',
    description: `writer threads per file system, each with its own AIO context (default: as calibrated, else ${defaults.THREADS})`,
    parse: wholeNumber(1, 64),
  },
  depth: {
    flags: '--depth <n>',
    description: `iocbs in flight at once, per thread (default: as calibrated, else ${defaults.DEPTH}, or what the disk's tags allow)`,
    parse: wholeNumber(1, 4096),
  },
  jobs: {
    flags: '--jobs <n>',
    description: 'writes that run at once on one thread',
    parse: wholeNumber(1, 256),
    default: defaults.JOBS,
  },
  memoryBytes: {
    flags: '--memory <size>',
    description: 'row memory of all threads together',
    parse: memory,
    default: defaults.MEMORY_BYTES,
    shownDefault: formatBytes(defaults.MEMORY_BYTES),
  },
  engine: {
    flags: '--engine <engine>',
    description: 'what carries the I/O',
    choices: ENGINE_CHOICES,
    default: 'auto',
  },
  shmDirectory: {
    flags: '--shm <directory>',
    description: 'where segments of shared memory are looked for',
    parse: (text) => resolve(text),
    default: defaults.SHM_DIRECTORY,
  },
  shmGroupId: {
    flags: '--shm-group <group>',
    description: "a group whose members may put segments there, by name or number (default: the host's user alone)",
    parse: parseGroup,
  },
  urlAllow: {
    flags: '--url-allow <network|address|name>',
    description:
      'where urls may lead besides public addresses: 10.1.0.0/16, ::1, artifacts.internal, *.internal (repeatable)',
    parse: collectUrlAllow,
    default: [],
    shownDefault: 'none',
    textsOf: (allowed) => allowed,
  },
  lockDurationMs: {
    flags: '--lock-duration <ms>',
    description: 'milliseconds that a job stays with a host that fell silent before another takes it up',
    parse: wholeNumber(1000, 3_600_000),
    default: defaults.LOCK_DURATION_MS,
  },
  waitMsMax: {
    flags: '--wait-for-space <duration>',
    description:
      "how long a job waits for space, another write's lock or file descriptors before it fails, attempts not counted; 0: not at all",
    parse: duration,
    default: defaults.WAIT_MS_MAX,
    shownDefault: formatDuration(defaults.WAIT_MS_MAX),
    textsOf: (ms) => [formatDuration(ms)],
  },
  limitBytesPerSecond: {
    flags: '--limit <rate>',
    description: 'bytes a second that the whole host may write, like 500MiB',
    parse: parseRate,
    default: 0,
    shownDefault: 'none',
  },
  rootLimits: {
    flags: '--root-limit <name=rate>',
    description: 'the same for one root (repeatable)',
    parse: collectRootLimit,
    default: {},
    shownDefault: 'none',
    textsOf: (limits) => Object.entries(limits).map(([name, rate]) => `${name}=${rate}`),
  },
  direct: {
    flags: '--direct <auto|off|name=off>',
    description: 'off: files go through the page cache, and direct I/O is not tried; also for one root (repeatable)',
    parse: collectDirect,
    default: {},
    shownDefault: 'auto: where the file system takes it',
    textsOf: directTexts,
  },
  stopGraceMs: {
    flags: '--stop-grace <ms>',
    description:
      'milliseconds that a stopped write may take to end before it is left to its disk, and its job ends without it',
    parse: wholeNumber(100, 3_600_000),
    default: defaults.STOP_GRACE_MS,
  },
  checkpointBytes: {
    flags: '--checkpoint <size>',
    description: 'a running write records how far it is after so many bytes, and every 5 seconds',
    parse: checkpoint,
    default: defaults.CHECKPOINT_BYTES,
    shownDefault: formatBytes(defaults.CHECKPOINT_BYTES),
  },
};

/** The names of the settings, which are those of the options in what commander parsed. */
export const FLAGGED_SETTINGS: readonly (keyof FlaggedSettings)[] = Object.keys(
  HOST_OPTIONS,
) as (keyof FlaggedSettings)[];

/** The flag and the texts of one setting that give it to another process; none if it is undefined: that is left to it. */
export function argumentsOf<Value>({ flags, textsOf }: HostOption<Value>, value: Value): string[] {
  if (value === undefined) return [];
  const [flag = ''] = flags.split(' ');
  const texts = textsOf?.(value) ?? [String(value)];
  return texts.flatMap((text) => [flag, text]);
}
