/** `penstock host`: hands everything to the host process, and ends as it ends. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { AlreadyReported } from '../terminal/failures.ts';
import { watchHeld } from '../processes/held-process.ts';
import { takeInterrupts } from '../terminal/interrupts.ts';
import { say } from '../terminal/output.ts';

export function hostCommand(): Command {
  return new Command('host')
    .description('Write the files that the queue asks for, until told to stop.')
    .argument('[options...]', 'the options of the host')
    .allowUnknownOption()
    .passThroughOptions()
    .action(host);
}

async function host(args: string[]): Promise<void> {
  const interrupts = takeInterrupts();
  const entry = fileURLToPath(import.meta.resolve('@penstock/host/main'));
  const child = spawn(process.execPath, [entry, ...args], { stdio: ['inherit', 'inherit', 'inherit', 'ipc'] });
  const stop = (): void => {
    // Not by passing the signal on: Ctrl-C and service managers signal the whole group, and a second one would cut the
    // host's orderly stop short. It stops when this channel closes, however often a signal asked it to.
    if (child.connected) child.disconnect();
  };
  const kill = (): void => {
    child.kill('SIGKILL');
  };
  const watch = watchHeld(child);
  interrupts.signal.addEventListener('abort', stop, { once: true });
  interrupts.hurry.addEventListener('abort', kill, { once: true });
  try {
    const exited = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
    const held = watch.held.then(() => [0, null] as const); // the host itself has reported which disk holds it
    const [code, signal] = await Promise.race([exited, held]);
    child.unref();
    if (signal !== null && !interrupts.signal.aborted) {
      say(`the host was ended by ${signal}: its writes are taken up again once their locks have run out`);
    }
    const exitCode = signal === null ? (code ?? 1) : 128 + constants.signals[signal];
    if (exitCode !== 0) throw new AlreadyReported(exitCode);
  } finally {
    watch.end();
    interrupts.release();
  }
}
