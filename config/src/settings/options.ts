/** The options that commands take: which Redis and data directory, and the settings of a host. */
import { type Command, Option } from 'commander';
import { FLAGGED_SETTINGS, HOST_OPTIONS, type HostOption } from './host-options.ts';
import { collectRoot } from './option-values.ts';

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
  for (const setting of FLAGGED_SETTINGS) {
    command.addOption(new SettingOption(setting, HOST_OPTIONS[setting]));
  }
  return command;
}

/** An option whose value goes by the name of its setting, and not by that of its flag. */
class SettingOption extends Option {
  readonly #setting: string;

  constructor(setting: string, row: HostOption<unknown>) {
    super(row.flags, row.description);
    this.#setting = setting;
    if (row.parse !== undefined) this.argParser(row.parse);
    if (row.choices !== undefined) this.choices(row.choices);
    if (row.default !== undefined) this.default(row.default, row.shownDefault);
  }

  override attributeName(): string {
    return this.#setting;
  }
}
