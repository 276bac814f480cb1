/** `penstock host`: the process that writes. Started by the command line, by a supervisor, or by another command. */
import { Command } from 'commander';
import {
  addHostOptions,
  commandOutput,
  complainTo,
  defaultRoot,
  type HostOptions,
  hostSettings,
  leaveStarter,
  logOf,
  openStore,
  readLibaio,
  reportToStarter,
  STOP_SIGNALS,
} from '@penstock/config';
import { tuneHost } from '@penstock/config/tuning';
import { assertUtf8Arguments } from '@penstock/config/utf8-arguments';
import { native } from '@penstock/native';
import { formatBytes, type IoError, toWire } from '@penstock/contract';
import { Host } from './host.ts';
import { askRoots, isAsking } from './roots/asking.ts';

const RELEASED = 'the command that started it ends';

/** The exit code of all commands of penstock that were called wrongly. */
const EXIT_USAGE = 2;
/** Node's exit code of a program that ends while it still waits. */
const UNSETTLED = 13;

const log = logOf('penstock host');

const command = addHostOptions(new Command('penstock host'))
  .description('write the files that the queue asks for, until told to stop')
  .option('--quiet', 'say nothing but errors', false)
  .configureOutput(commandOutput)
  .showHelpAfterError('(penstock host --help lists the options)')
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : EXIT_USAGE));

const complain = complainTo(log);

/** Resolves with the exit code once the host has ended in good order. */
async function main(): Promise<number> {
  assertUtf8Arguments(process.argv.slice(2), process.env);
  command.parse();
  const options = command.opts<HostOptions & { quiet: boolean }>();
  const asked = hostSettings(options, process.env);
  const logUnlessQuiet = (text: string): void => {
    if (!options.quiet) log(text);
  };

  let stop: (why: string) => void = () => {};
  const stopped = new Promise<string>((resolve) => {
    stop = resolve;
    // Kept to the end: a terminal and a parent both pass on Ctrl-C, and the second must not cut the drain short.
    for (const signal of STOP_SIGNALS) process.on(signal, () => resolve(signal));
    // The process that started this one with a channel has gone: no other would ever stop it.
    process.once('disconnect', () => resolve(RELEASED));
    if (process.send !== undefined && !process.connected) resolve(RELEASED);
  });

  // A root that is silent now joins later: looking at it on this thread might never return.
  let host: Host | null = null;
  const early: (readonly [string, number | IoError])[] = [];
  const isMade = defaultRoot(asked.dataDirectory).path;
  const questions = asked.roots.map(({ name, path }) => ({ name, path, isMade: path === isMade }));
  const devices = await askRoots(questions, (name, answer) => {
    if (host === null) early.push([name, answer]);
    else host.rootAnswered(name, answer);
  });
  const answering = asked.roots.filter(({ name }) => devices.get(name) !== null);
  const { notes, warnings, roots: tuned, ...tuning } = tuneHost({ ...asked, roots: answering });
  const roots = asked.roots.map((root) => tuned.find(({ name }) => name === root.name) ?? root);
  const settings = { ...asked, ...tuning, roots };
  for (const warning of warnings) log(warning);
  // A command that started this process quietly has the store open as well, and reports the same.
  const store = await openStore(settings.redis, process.env, options.quiet ? undefined : complain);
  let isFree = true;
  let exitCode = 0;
  try {
    const libaio = readLibaio();
    host = await Host.start({
      ...settings,
      devices,
      connection: store.connection,
      ...(libaio === undefined ? {} : { libaio }),
      onFallback: logUnlessQuiet,
      onError: complain,
      onNameLost: (error) => {
        complain(error);
        exitCode = 1;
        stop('its name is another host’s');
      },
      onNote: log,
    });
    for (const [root, answer] of early) host.rootAnswered(root, answer);
    const { name, threads, depth, jobs, memoryBytes } = settings;
    logUnlessQuiet(
      `${name}: ${threads} threads, depth ${depth}, ${jobs} jobs per thread, ${formatBytes(memoryBytes)} of rows`,
    );
    for (const root of roots) logUnlessQuiet(`root ${root.name} = ${root.path}${root.writable ? '' : ' (read only)'}`);
    for (const note of notes) logUnlessQuiet(note);
    if (host.noSegmentsReason !== null) logUnlessQuiet(`no segments of shared memory: ${host.noSegmentsReason}`);
    logUnlessQuiet('ready');
    void reportToStarter({ ready: true });
    logUnlessQuiet(`stopping: ${await stopped}`);
    isFree = await host.close();
  } finally {
    await store.close();
  }
  if (!isFree || isAsking()) endWithout(host, exitCode);
  leaveStarter();
  return exitCode;
}

/** Ends the process though threads of it are inside calls to a disk: they are not waited for. */
function endWithout({ pool }: Host, exitCode: number): void {
  const freed = pool.leftToFree.map(
    ({ files, bytes, roots }) =>
      `${files === 1 ? '1 file' : `${files} files`}, ${formatBytes(bytes)}, of ${roots.join(', ')}`,
  );
  const held = freed.length === 0 ? 'that a disk holds' : `that free blocks (${freed.join('; ')})`;
  log(`ends without its threads ${held}: jobs that are not completed are back in the queue`);
  // The process may still be seen until the disk has answered: the kernel keeps threads that are inside the call.
  native.exitNow(exitCode);
}

async function run(): Promise<void> {
  process.exitCode = UNSETTLED;
  try {
    process.exitCode = await main();
  } catch (error) {
    complain(error);
    void reportToStarter({ failed: toWire(error) }).then(leaveStarter);
    process.exitCode = 1;
    if (isAsking()) native.exitNow(1); // the error was reported; a root that does not answer is not waited for
  }
}

// No await out here: what is bundled as scripts has none.
void run();
