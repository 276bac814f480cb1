/** `penstock up`: the embedded Redis, a host and the dashboard in one go, for one machine. */
import { Command } from 'commander';
import {
  addHostOptions,
  defaults,
  hostArguments,
  type HostOptions,
  hostSettings,
  LINK_MINUTES,
  openStore,
  storeArguments,
  storeEnvironment,
  wholeNumber,
} from '@penstock/config';
import { AppProcess } from '../processes/app-process.ts';
import { Interrupted } from '../terminal/failures.ts';
import { aborted, takeInterrupts } from '../terminal/interrupts.ts';
import { print, say, sayLine } from '../terminal/output.ts';

type UpOptions = HostOptions & { port: number };

const EXAMPLES = `
Examples:
  $ penstock up
  $ penstock up --port 8080 --root captures=/srv/captures --threads 2

The dashboard listens on this machine only, and lets in who opens its link; penstock link prints another. In another terminal: penstock write run-42.dat --size 1GiB`;

export function upCommand(): Command {
  const command = new Command('up')
    .description('Run all of it on this machine: the embedded Redis, a host, and the dashboard.')
    .option(
      '--port <port>',
      'where the dashboard listens; 0 takes a free port',
      wholeNumber(0, 65_535),
      defaults.GATEWAY_PORT,
    );
  addHostOptions(command.optionsGroup('The host:'));
  return command.addHelpText('after', EXAMPLES).action(up);
}

async function up(options: UpOptions): Promise<void> {
  const settings = hostSettings(options, process.env);
  const interrupts = takeInterrupts();
  const { signal, hurry } = interrupts;
  const env = storeEnvironment(settings, options.redis, process.env);
  const apps: AppProcess[] = [];
  const store = await openStore(settings.redis, process.env, (error) => say(error.message));
  try {
    const shared = { env, signal, hurry, onLine: (line: string) => sayLine(line) };
    const gateway = ['--port', String(options.port), ...storeArguments(settings)];
    const starting = [
      AppProcess.start({ ...shared, label: 'host', args: hostArguments(settings, options.root) }),
      AppProcess.start({ ...shared, label: 'gateway', args: gateway }),
    ];
    for (const started of await Promise.allSettled(starting))
      if (started.status === 'fulfilled') apps.push(started.value);
    await Promise.all(starting); // the first that failed
    const [, dashboard] = apps;
    print(`dashboard: ${dashboard?.url}`);
    print(`open once within ${LINK_MINUTES} minutes: ${dashboard?.link}`);
    // What a plain BullMQ producer needs; a socket is for this user alone.
    if ('socketPath' in store.connection) print(`redis: unix://${store.connection.socketPath}`);
    say('Ctrl-C stops all of it');
    await Promise.race([aborted(signal), ...apps.map((app) => unaskedEnd(app, signal))]);
    say('stopping');
  } catch (error) {
    // A signal is the usual end; only errors are thrown on.
    if (!(error instanceof Interrupted)) throw error;
  } finally {
    // The host first: its writes go back to the queue, which the dashboard may still show. The Redis outlives both.
    for (const app of apps) await app.stop();
    await store.close();
    interrupts.release();
  }
}

/** Rejects when `app` ends before anybody asked it to. */
async function unaskedEnd(app: AppProcess, asked: AbortSignal): Promise<void> {
  const how = await app.ended;
  if (!asked.aborted) throw new Error(`the ${app.label} ended unexpectedly (${how}): all of it is stopped`);
}
