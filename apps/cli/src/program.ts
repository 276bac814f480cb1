/** The command line as a whole. Only the command that is asked for is loaded: the others are a name and a line. */
import { Command } from 'commander';
import { commandOutput } from './terminal/output.ts';

interface Entry {
  name: string;
  summary: string;
  load: () => Promise<Command>;
  /** Its options, --help among them, are those of the process it starts. */
  isProxy?: true;
}

const ENTRIES: readonly Entry[] = [
  {
    name: 'write',
    summary: 'write a file through the queue and wait until it is done',
    load: async () => (await import('./commands/write.ts')).writeCommand(),
  },
  {
    name: 'enqueue',
    summary: 'put a write into the queue and leave',
    load: async () => (await import('./commands/enqueue.ts')).enqueueCommand(),
  },
  {
    name: 'watch',
    summary: 'follow a job to its end',
    load: async () => (await import('./commands/watch.ts')).watchCommand(),
  },
  {
    name: 'capacity',
    summary: 'show or set how many bytes may be in the queue',
    load: async () => (await import('./commands/capacity.ts')).capacityCommand(),
  },
  {
    name: 'cancel',
    summary: 'end a job for good',
    load: async () => (await import('./commands/steer/cancel.ts')).cancelCommand(),
  },
  {
    name: 'pause',
    summary: 'have a job wait',
    load: async () => (await import('./commands/steer/pause.ts')).pauseCommand(),
  },
  {
    name: 'resume',
    summary: 'let a paused job go on',
    load: async () => (await import('./commands/steer/resume.ts')).resumeCommand(),
  },
  {
    name: 'limit',
    summary: 'limit a job, a host or a root to so many bytes a second',
    load: async () => (await import('./commands/steer/limit.ts')).limitCommand(),
  },
  {
    name: 'ls',
    summary: 'list the jobs of all queues',
    load: async () => (await import('./commands/jobs/list.ts')).listCommand(),
  },
  {
    name: 'show',
    summary: 'show all that is known of a job',
    load: async () => (await import('./commands/jobs/show.ts')).showCommand(),
  },
  {
    name: 'logs',
    summary: 'print what hosts logged of a job',
    load: async () => (await import('./commands/jobs/logs.ts')).logsCommand(),
  },
  {
    name: 'retry',
    summary: 'put a failed job in line again, or all of them',
    load: async () => (await import('./commands/jobs/retry.ts')).retryCommand(),
  },
  {
    name: 'rm',
    summary: 'remove a job from the queue',
    load: async () => (await import('./commands/jobs/remove.ts')).removeCommand(),
  },
  {
    name: 'clean',
    summary: 'remove jobs that ended long ago',
    load: async () => (await import('./commands/jobs/clean.ts')).cleanCommand(),
  },
  {
    name: 'hosts',
    summary: 'list the hosts, what they do and what they have',
    load: async () => (await import('./commands/hosts.ts')).hostsCommand(),
  },
  {
    name: 'host',
    summary: 'write the files that the queue asks for',
    load: async () => (await import('./commands/host.ts')).hostCommand(),
    isProxy: true,
  },
  {
    name: 'up',
    summary: 'run all of it on this machine: Redis, a host, the dashboard',
    load: async () => (await import('./commands/up.ts')).upCommand(),
  },
  {
    name: 'link',
    summary: 'print a link into the dashboard that runs here',
    load: async () => (await import('./commands/link.ts')).linkCommand(),
  },
  {
    name: 'verify',
    summary: 'read a file back and compare it',
    load: async () => (await import('./commands/verify.ts')).verifyCommand(),
  },
  {
    name: 'calibrate',
    summary: 'measure how a root is written fastest, for hosts to use',
    load: async () => (await import('./commands/calibrate.ts')).calibrateCommand(),
  },
  {
    name: 'doctor',
    summary: 'look at everything a host depends on',
    load: async () => (await import('./commands/doctor.ts')).doctorCommand(),
  },
  {
    name: 'demo',
    summary: 'see it work: three files through the real queue, verified',
    load: async () => (await import('./commands/demo.ts')).demoCommand(),
  },
];

const EXAMPLES = `
Examples:
  $ penstock demo                                          see it work
  $ penstock up                                            run all of it here
  $ penstock write run-42.dat --size 1GiB --pattern stamp  write a file, and wait
  $ penstock verify <the path it printed> --pattern stamp  is it what was asked for?
  $ penstock calibrate                                     how is this disk written fastest?
  $ penstock doctor                                        is this machine fit for it?

penstock <command> --help tells more. Without --redis or PENSTOCK_REDIS_URL the commands share an embedded Redis.
PENSTOCK_DEBUG=1 adds stacks to errors.`;

/** Runs the command that `args` name. @throws what it throws; CommanderError for wrong usage, help and version */
export async function runProgram(args: readonly string[], version: string): Promise<void> {
  const [first, second] = args;
  const asksProxy = first === 'help' && ENTRIES.some(({ name, isProxy }) => name === second && isProxy === true);
  const words = asksProxy && second !== undefined ? [second, '--help'] : args;
  const program = await programFor(words, version);
  if (words.length === 0) program.outputHelp();
  else await program.parseAsync(words, { from: 'user' });
}

async function programFor(args: readonly string[], version: string): Promise<Command> {
  const program = new Command('penstock')
    .description('Durable file writes for Linux: queued in Redis, written with kernel AIO and direct I/O.')
    .version(version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [command]', 'tell more of a command')
    .addHelpText('after', EXAMPLES)
    .showHelpAfterError('(penstock --help tells more)')
    .configureOutput(commandOutput)
    // What follows a command is its own: `penstock host` hands all of it on.
    .enablePositionalOptions()
    .exitOverride();
  const [first, second] = args.filter((arg) => !arg.startsWith('-'));
  const wanted = first === 'help' ? second : first;
  for (const { name, summary, load, isProxy } of ENTRIES) {
    if (name !== wanted) {
      program.command(name).description(summary);
      continue;
    }
    const command = await load();
    program.addCommand(command.summary(summary).copyInheritedSettings(program));
    if (isProxy === true) command.helpOption(false);
    command.showHelpAfterError(`(penstock ${name} --help tells more)`);
  }
  return program;
}
