/**
 * The soak: `npm run soak -- [scenario]`. Kills, stops and starts what a write depends on at random moments, for as many
 * trials as are asked for, and compares whole files. The seed is printed; a violation fails the run.
 */
import { performance } from 'node:perf_hooks';
import { Command, InvalidArgumentError, Option } from 'commander';
import { parseSize } from '@penstock/contract';
import { Findings } from './findings.ts';
import { soakFreeze } from './freeze.ts';
import { WAYS, soakKill } from './kill.ts';
import { soakMixed } from './mixed/mixed.ts';
import { soakRedis } from './redis.ts';
import type { Scenario, SoakSettings } from './settings.ts';
import { soakSteering } from './steering.ts';
import { soakSteps } from './steps.ts';
import { SOURCE_KINDS } from './sources.ts';

const EXIT_VIOLATION = 1;
const EXIT_USAGE = 2;
const SEED_END = 1_000_000_000;
/** What is promised of orders to a running write. */
const P99_MS_MAX = 1000;
const DEFAULT_SIZE = '256MiB';
const HOSTS = 2;
const MIXED_MINUTES = 60;

const wholeNumber = (text: string): number => {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('Give a whole number below 10^9.');
  return Number(text);
};

/** Minutes, of which parts may be given. */
const duration = (text: string): number => {
  if (!/^\d{1,4}(\.\d+)?$/.test(text) || Number(text) === 0)
    throw new InvalidArgumentError('Give minutes like 60 or 0.5.');
  return Number(text);
};

const randomSeed = (): number => Math.floor(Math.random() * SEED_END);

const size = (text: string): number => {
  try {
    return parseSize(text);
  } catch {
    throw new InvalidArgumentError('Give bytes like 256MiB.');
  }
};

const say = (line: string): void => {
  process.stdout.write(`${new Date().toISOString().slice(11, 19)} ${line}\n`);
};

let violations = 0;

interface SettingsOfAll {
  seed: number;
  sizeBytes: number;
}

/** Runs one scenario and reports how it went; what it throws is a violation too. `extent` is how long, as an option. */
async function carryOut<T extends SettingsOfAll>(
  name: string,
  scenario: Scenario<T>,
  settings: T,
  extent: string,
): Promise<void> {
  const findings = new Findings(say);
  const begunMs = performance.now();
  const { seed, sizeBytes } = settings;
  const options = `--seed ${seed} ${extent} --size ${sizeBytes}`;
  say(`${name}: ${options}`);
  try {
    await scenario(settings, findings);
  } catch (error) {
    findings.demand(false, `the soak itself comes to its end: ${error instanceof Error ? error.stack : String(error)}`);
  }
  const found = findings.violations.length;
  violations += found;
  const seconds = ((performance.now() - begunMs) / 1000).toFixed(0);
  const again = `npm run soak -- ${name} ${options}`;
  say(
    found === 0 ? `${name}: kept, in ${seconds} s` : `${name}: ${found} VIOLATIONS, in ${seconds} s; again: ${again}`,
  );
}

const tryOut = <T extends SoakSettings>(name: string, scenario: Scenario<T>, settings: T): Promise<void> =>
  carryOut(name, scenario, settings, `--trials ${settings.trials}`);

/** A scenario's command, with what all of them can be told. */
function scenarioCommand(name: string, summary: string, trials: number, bytes: string = DEFAULT_SIZE): Command {
  return plainCommand(name, summary, bytes).option('--trials <n>', 'how often', wholeNumber, trials);
}

function plainCommand(name: string, summary: string, bytes: string = DEFAULT_SIZE): Command {
  return new Command(name)
    .summary(summary)
    .description(summary)
    .option('--seed <n>', 'repeats the choices of an earlier run (default: another each time)', wholeNumber)
    .addOption(new Option('--size <bytes>', 'of each large file').argParser(size).default(parseSize(bytes), bytes));
}

interface Given {
  trials: number;
  seed?: number;
  size: number;
}

const settingsOf = ({ trials, seed, size: sizeBytes }: Given): SoakSettings => ({
  trials,
  sizeBytes,
  seed: seed ?? randomSeed(),
});

const kill = scenarioCommand('kill', 'kill -9 of the host at random moments of a write', 100)
  .addOption(new Option('--way <way...>', 'which ways of writing').choices(WAYS).default(WAYS))
  .option('--hosts <n>', 'how many hosts take from the queue', wholeNumber, HOSTS)
  .addOption(new Option('--source <kind...>', 'which sources').choices(SOURCE_KINDS).default(SOURCE_KINDS))
  .addOption(
    new Option('--resume <when>', 'whether a write must go on from its last checkpoint; auto: where hosts make any')
      .choices(['auto', 'must', 'ignored'])
      .default('auto'),
  )
  .action(async (options: Given & { way: typeof WAYS; source: typeof SOURCE_KINDS; resume: string; hosts: number }) => {
    const resumes = options.resume === 'auto' ? null : options.resume === 'must';
    const { way: ways, source: sources, hosts } = options;
    await tryOut('kill', soakKill, { ...settingsOf(options), ways, sources, hosts: Math.max(1, hosts), resumes });
  });

const steps = scenarioCommand(
  'steps',
  'hosts that die at each step of their writes, several over one queue',
  100,
  '4MiB',
).action((options: Given) => tryOut('steps', soakSteps, settingsOf(options)));

const redis = scenarioCommand(
  'redis',
  'kill -9 of Redis at random moments, while jobs are added and written',
  30,
).action((options: Given) => tryOut('redis', soakRedis, settingsOf(options)));

const freeze = scenarioCommand(
  'freeze',
  'SIGSTOP of a host for longer than its lock, while another takes over',
  30,
).action((options: Given) => tryOut('freeze', soakFreeze, settingsOf(options)));

const steering = scenarioCommand(
  'steering',
  'cancel, pause, resume and limits from another process while the disk is saturated',
  100,
).action((options: Given) => tryOut('steering', soakSteering, { ...settingsOf(options), p99MsMax: P99_MS_MAX }));

const mixed = plainCommand(
  'mixed',
  'small and large work at once for as long as you like: nothing grows, all files are right',
)
  .option('--minutes <n>', 'how long', duration, MIXED_MINUTES)
  .action(({ minutes, seed = randomSeed(), size: sizeBytes }: Omit<Given, 'trials'> & { minutes: number }) =>
    carryOut('mixed', soakMixed, { seed, sizeBytes, minutes }, `--minutes ${minutes}`),
  );

const scenarios = [kill, steps, redis, freeze, steering];

const program = new Command('npm run soak --')
  .description(
    'Tries on this machine what Penstock promises of bad luck: whole files are compared, the seed is printed.\n' +
      'Exits with 1 on any violation. Everything it makes lies below .cache/scratch, and is removed.',
  )
  .showHelpAfterError('(--help tells more)');
for (const scenario of [...scenarios, mixed]) program.addCommand(scenario);
program
  .command('all', { isDefault: true })
  .summary('every scenario but mixed, each as often as it runs by default')
  .option('--seed <n>', 'repeats the choices of an earlier run (default: another each time)', wholeNumber)
  .option('--trials <n>', 'how often each of them (default: as above)', wholeNumber)
  .action(async ({ seed, trials }: { seed?: number; trials?: number }) => {
    const given = ['--seed', String(seed ?? randomSeed())];
    if (trials !== undefined) given.push('--trials', String(trials));
    for (const scenario of scenarios) await scenario.parseAsync(given, { from: 'user' });
  });
for (const each of program.commands) each.exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : EXIT_USAGE));
program.exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : EXIT_USAGE));

await program.parseAsync();
process.exitCode = violations === 0 ? 0 : EXIT_VIOLATION;
