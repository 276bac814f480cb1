/** `penstock write`: enqueues a write and waits for it, with a host of its own if none runs. */
import { join } from 'node:path';
import { Command, Option } from 'commander';
import {
  addStoreOptions,
  addWriterOptions,
  FLAGGED_SETTINGS,
  type FlaggedSettings,
  hostArguments,
  hostSettings,
  storeEnvironment,
  type StoreOptions,
  storeSettings,
  wholeNumber,
} from '@penstock/config';
import { ANY_HOST, type WriteRequestInput, type WriteResult, fromWire } from '@penstock/contract';
import type { Connection, WriteQueue } from '@penstock/queue';
import { AppProcess } from '../processes/app-process.ts';
import { Interrupted, UsageError } from '../terminal/failures.ts';
import { HostKeeper } from '../processes/host-keeper.ts';
import { parseRootChoice, type RootChoice, rootsOf } from '../job/host-roots.ts';
import { takeInterrupts } from '../terminal/interrupts.ts';
import { answering, type JobAnswer } from '../job/job-report.ts';
import { follow } from '../job/follow.ts';
import { print, say, noteScreen } from '../terminal/output.ts';
import { createProgressLine, type ProgressLine, silentProgress } from '../terminal/progress-line.ts';
import {
  addRequestOptions,
  judgeRequest,
  type RequestOptions,
  requestOf,
  STANDARD_INPUT,
  targetOption,
} from '../job/request-options.ts';
import { describeResult } from '../job/result-text.ts';
import { sayStandstill } from '../job/standstill.ts';
import { openStoreOf, storeFlags } from '../job/store-options.ts';
import { flagsGiven, refuseOptionsBesideStdin, writeStandardInput } from '../job/write-stdin.ts';

interface WriteOptions extends Omit<RequestOptions, 'root' | 'fromRoot'>, StoreOptions, FlaggedSettings {
  root?: RootChoice;
  fromRoot?: RootChoice;
  attempts?: number;
  json?: boolean;
}

const ROOTS_NEED_THEIR_HOST = 'a directory given with --root counts only for a host that this command starts';

const EXAMPLES = `
Examples:
  $ penstock write run-42.dat --size 1GiB --pattern stamp --seed 7
  $ penstock write copy.iso --from debian.iso
  $ tar c src | penstock write src.tar --from -          standard input, without a queue
  $ penstock write big.bin --size 4GiB --root scratch=/mnt/nvme --threads 2
  $ penstock write run-42.dat --size 1GiB --redis redis://queue.example:6379 --json

Paths are named inside a root. Without other word that is "data", the directory files/ of the data directory.
Exit codes: 0 written, 1 failed, 2 the command line or the request is wrong, 130 stopped by Ctrl-C (the job stays queued).`;

export function writeCommand(): Command {
  const command = new Command('write')
    .description('Write a file through the queue and wait until it is done.')
    .argument('<path>', 'the file to write, named inside its root');
  addRequestOptions(command)
    .addOption(
      new Option(
        '-r, --root <name[=directory]>',
        'the root to write in (default: data); with a directory, defined so for the host that is started',
      ).argParser(parseRootChoice),
    )
    .addOption(
      new Option('--from-root <name[=directory]>', 'the root of --from (default: data)').argParser(parseRootChoice),
    )
    .addOption(targetOption())
    .option('--attempts <n>', 'how often it is tried at most (default: 3)', wholeNumber(1, 1000))
    .option('--json', 'print one JSON object, the result or the error');
  addStoreOptions(command.optionsGroup('Which queue:'));
  addWriterOptions(command.optionsGroup('The host that is started where none runs:'));
  return command.addHelpText('after', EXAMPLES).action(async (path: string, options: WriteOptions) => {
    if (options.from === STANDARD_INPUT) {
      refuseOptionsBesideStdin(command);
      await answering(options.json === true, () => writeStdin(path, options));
      return;
    }
    warnAboutIdleOptions(command, options);
    await answering(options.json === true, (answer) => write(path, options, idleOptions(command), answer));
  });
}

function warnAboutIdleOptions(command: Command, options: WriteOptions): void {
  const given = idleOptions(command);
  if (options.redis !== undefined && given.length > 0) {
    say(`${given.join(', ')}: of no effect with --redis, where no host is started`);
  }
}

function warnOfOwnHost(given: readonly string[]): void {
  if (given.length > 0)
    say(`${given.join(', ')}: of no effect, for a host runs here already, with settings of its own`);
}

/** The flags on the command line that are settings of a host which this command would start. */
const idleOptions = (command: Command): string[] => flagsGiven(command, FLAGGED_SETTINGS);

function describedBy(path: string, { root, fromRoot, ...rest }: WriteOptions): WriteRequestInput {
  return requestOf(path, {
    ...rest,
    ...(root === undefined ? {} : { root: root.name }),
    ...(fromRoot === undefined ? {} : { fromRoot: fromRoot.name }),
  });
}

async function writeStdin(path: string, options: WriteOptions): Promise<{ result: WriteResult }> {
  const { from: _standardInput, redis: _fromTheEnvironment, ...rest } = options;
  const json = options.json === true;
  const settings = storeSettings(rest, process.env);
  const { result, file } = await writeStandardInput(describedBy(path, rest), rest, settings, await lineOf(json));
  if (!json) for (const text of describeResult(result, file)) print(text);
  return { result };
}

async function write(
  path: string,
  options: WriteOptions,
  idle: readonly string[],
  answer: JobAnswer,
): Promise<{ result: WriteResult }> {
  const request = describedBy(path, options);
  const { root, fromRoot } = options;
  judgeRequest(request);
  const roots = rootsOf([root, fromRoot]);
  const named = hostSettings({ ...options, root: roots }, process.env);
  // A host of another name cannot serve it, and would only take other writes.
  const isForAnother = options.on !== undefined && options.on !== ANY_HOST && options.on !== named.name;
  if ((options.redis !== undefined || isForAnother) && roots.length > 0) {
    const which = isForAnother ? `--on ${options.on}` : '--redis';
    throw new UsageError(
      `${roots[0]?.name}=${roots[0]?.path} defines a root for a host that is started here; with ${which} none is: give the name alone`,
    );
  }

  const interrupts = takeInterrupts();
  const unattended = new AbortController();
  const signal = AbortSignal.any([interrupts.signal, unattended.signal]);
  // Loading the queue's client takes longer than starting its Redis: meanwhile a host can start as well.
  const loading = import('@penstock/queue');
  const line = await lineOf(options.json === true);
  const complain = (error: Error): void => line.note(`penstock: ${error.message}`);
  const { settings, store } = await openStoreOf(options, complain);
  const opening = openQueue(loading, store.connection, complain);
  const host = { ...named, ...settings };
  const keeper = new HostKeeper({
    workers: async () => (await opening).workers(options.on),
    signal,
    say: (text) => line.note(`penstock: ${text}`),
    start: (wanted) =>
      AppProcess.start({
        label: 'host',
        args: ['--quiet', ...hostArguments(host, roots)],
        env: storeEnvironment(settings, options.redis, process.env),
        onLine: (text) => line.note(text),
        signal: wanted,
        hurry: interrupts.hurry,
      }),
  });
  try {
    // A host first: if none can be had, nothing must stay behind in the queue.
    if (settings.redis.kind === 'embedded' && !isForAnother) {
      if (store.started) await keeper.start();
      else if (await keeper.ensure()) {
        if (roots.length > 0) say(`a host runs here already, with roots of its own: ${ROOTS_NEED_THEIR_HOST}`);
        warnOfOwnHost(idle);
      }
      void keeper.keep().catch((error: unknown) => unattended.abort(error));
    } else if ((await (await opening).workers(options.on)) === 0) {
      const missing =
        options.on === undefined ? 'no host serves this queue now' : `the host ${options.on} is not there now`;
      say(
        `${missing}: the write waits until one is started (penstock host${options.on === undefined ? '' : ` --name ${options.on}`}${storeFlags(options, process.env)})`,
      );
    }
    signal.throwIfAborted();
    const queue = await opening;
    answer.id = await queue.add(request, options.attempts === undefined ? {} : { attempts: options.attempts });
    await sayStandstill(queue, options.on);
    const outcome = await follow<WriteResult>(queue, answer.id, path, line, signal, () => keeper.hurry());
    if (!outcome.ok) throw fromWire(outcome.error);
    const { result } = outcome;
    if (options.json !== true) {
      const directory = keeper.ownsHost ? host.roots.find(({ name }) => name === result.root)?.path : undefined;
      for (const text of describeResult(result, directory === undefined ? path : join(directory, path))) print(text);
    }
    return { result };
  } catch (error) {
    if (error instanceof Interrupted && answer.id !== undefined) {
      const flags = storeFlags(options, process.env);
      say(
        keeper.ownsHost
          ? `job ${answer.id} goes back to the queue, as the host started for it stops; the next one goes on with it (penstock host${flags})`
          : `job ${answer.id} goes on without this command`,
      );
      say(`to see how it goes: penstock watch ${answer.id}${flags}`);
    }
    throw error;
  } finally {
    await keeper.stop();
    await (await opening).close();
    await store.close();
    interrupts.release();
  }
}

async function openQueue(
  loading: Promise<typeof import('@penstock/queue')>,
  connection: Connection,
  onError: (error: Error) => void,
): Promise<WriteQueue> {
  const { WriteQueue: Client } = await loading;
  return new Client({ connection, onError });
}

/** The progress line; with --json only a terminal gets one. */
async function lineOf(json: boolean): Promise<ProgressLine> {
  return json && !noteScreen().isTTY ? silentProgress(say) : createProgressLine();
}
