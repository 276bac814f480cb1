/** Ctrl-C and its kin, as something a command can wait for: it stops in order instead of being torn down. */
import { STOP_SIGNALS } from '@penstock/config';
import { Interrupted } from './failures.ts';

export interface Interrupts {
  /** Aborted by the first signal, with the Interrupted that names it. */
  readonly signal: AbortSignal;
  /** Aborted by the second signal: what waits for an orderly end has to use force. */
  readonly hurry: AbortSignal;
  /** Gives the signals their usual effect back. */
  release(): void;
}

/** Takes over the signals until released. The third one ends the process as it is. */
export function takeInterrupts(): Interrupts {
  const first = new AbortController();
  const second = new AbortController();
  const onSignal = (signal: NodeJS.Signals): void => {
    const interrupted = new Interrupted(signal);
    if (!first.signal.aborted) first.abort(interrupted);
    else if (!second.signal.aborted) second.abort(interrupted);
    else process.exit(interrupted.exitCode);
  };
  for (const signal of STOP_SIGNALS) process.on(signal, onSignal);
  return {
    signal: first.signal,
    hurry: second.signal,
    release: () => {
      for (const signal of STOP_SIGNALS) process.off(signal, onSignal);
    },
  };
}

/** Resolves when `signal` is aborted. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
