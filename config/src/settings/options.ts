/** The options that commands take: which Redis and data directory, and the settings of a host. */
import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { formatBytes } from '@penstock/contract';
import * as defaults from './defaults.ts';
import { collectDirect } from './direct.ts';
import { formatDuration } from './durations.ts';
import { parseGroup } from './groups.ts';
import {
  checkpoint,
  collectRoot,
  collectUrlAllow,
  duration,
  memory,
  parseHostName,
  wholeNumber,
} from './option-values.ts';
import { collectRootLimit, parseRate } from './rates.ts';

/** Adds --redis and --data. */
export function addStoreOptions(command: Command): Command {
  return addDataOption(
    command.addOption(
      new Option('--redis <url>', 'the Redis to use instead of the embedded one').env('PENSTOCK_REDIS_URL'),
    ),
  );
}

/** Adds --data. */
export function addDataOption(command: Command): Command {
  return command.option('--data <directory>', 'where the embedded Redis and the root "data" live (env: PENSTOCK_DATA)');
}

/** Adds the options of a host. */
export function addHostOptions(command: Command): Command {
  return addWriterOptions(addStoreOptions(command)).addOption(
    new Option('--root <name=directory[:ro]>', 'a directory that jobs may name; :ro allows reading only (repeatable)')
      .argParser(collectRoot)
      .default([], 'data=<data directory>/files'),
  );
}

/** Adds the options of a host but for its roots: its name, its threads, their memory and limits. */
export function addWriterOptions(command: Command): Command {
  return command
    .option('--name <name>', 'the name of this host, as "target" names it', parseHostName, defaults.hostName())
    .option(
      '--threads <n>',
      `writer threads per file system, each with its own AIO context (default: as calibrated, else ${defaults.THREADS})`,
      wholeNumber(1, 64),
    )
    .option(
      '--depth <n>',
      `iocbs in flight at once, per thread (default: as calibrated, else ${defaults.DEPTH}, or what the disk's tags allow)`,
      wholeNumber(1, 4096),
    )
    .option('--jobs <n>', 'writes that run at once on one thread', wholeNumber(1, 256), defaults.JOBS)
    .addOption(
      new Option('--memory <size>', 'row memory of all threads together')
        .argParser(memory)
        .default(defaults.MEMORY_BYTES, formatBytes(defaults.MEMORY_BYTES)),
    )
    .addOption(
      new Option('--engine <engine>', 'what carries the I/O')
        .choices(['auto', 'libaio', 'syscalls', 'positional'])
        .default('auto'),
    )
    .option(
      '--shm <directory>',
      'where segments of shared memory are looked for',
      (text) => resolve(text),
      defaults.SHM_DIRECTORY,
    )
    .option(
      '--shm-group <group>',
      "a group whose members may put segments there, by name or number (default: the host's user alone)",
      parseGroup,
    )
    .addOption(
      new Option(
        '--url-allow <network|address|name>',
        'where urls may lead besides public addresses: 10.1.0.0/16, ::1, artifacts.internal, *.internal (repeatable)',
      )
        .argParser(collectUrlAllow)
        .default([], 'none'),
    )
    .option(
      '--lock-duration <ms>',
      'milliseconds that a job stays with a host that fell silent before another takes it up',
      wholeNumber(1000, 3_600_000),
      defaults.LOCK_DURATION_MS,
    )
    .addOption(
      new Option(
        '--wait-for-space <duration>',
        "how long a job waits for space, another write's lock or file descriptors before it fails, attempts not counted; 0: not at all",
      )
        .argParser(duration)
        .default(defaults.WAIT_MS_MAX, formatDuration(defaults.WAIT_MS_MAX)),
    )
    .addOption(
      new Option('--limit <rate>', 'bytes a second that the whole host may write, like 500MiB')
        .argParser(parseRate)
        .default(0, 'none'),
    )
    .addOption(
      new Option('--root-limit <name=rate>', 'the same for one root (repeatable)')
        .argParser(collectRootLimit)
        .default({}, 'none'),
    )
    .addOption(
      new Option(
        '--direct <auto|off|name=off>',
        'off: files go through the page cache, and direct I/O is not tried; also for one root (repeatable)',
      )
        .argParser(collectDirect)
        .default({}, 'auto: where the file system takes it'),
    )
    .option(
      '--stop-grace <ms>',
      'milliseconds that a stopped write may take to end before it is left to its disk, and its job ends without it',
      wholeNumber(100, 3_600_000),
      defaults.STOP_GRACE_MS,
    )
    .addOption(
      new Option(
        '--checkpoint <size>',
        'a running write records how far it is after so many bytes, and every 5 seconds',
      )
        .argParser(checkpoint)
        .default(defaults.CHECKPOINT_BYTES, formatBytes(defaults.CHECKPOINT_BYTES)),
    );
}
