/** The AIO engine of this thread: by which port it goes, what it falls back to, and what the main thread knows of it. */
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { setTimeout } from 'node:timers/promises';
import { type EngineWitness, type OpenedEngine, openEngine } from '@penstock/aio';
import { IoError } from '@penstock/contract';
import type { ThreadBlock } from '@penstock/matrix';
import type { WriterSetup } from '../protocol.ts';
import type { ThreadEnd } from './thread-end.ts';

const { EAGAIN } = constants.errno;

/** Waits between attempts at io_setup while other processes hold all contexts: about two seconds in all. */
const SETUP_WAITS_MS = [50, 150, 400, 600, 800];

/**
 * The first port that carries out a write here, in the order of the engine that was asked for; waits while other processes
 * hold all contexts. `block` records the context for the main thread, and `threadEnd`, if there is one, destroys it.
 */
export async function openThreadEngine(
  { engine, depth, libaio }: Pick<WriterSetup, 'engine' | 'depth' | 'libaio'>,
  block: ThreadBlock,
  threadEnd: ThreadEnd | null,
): Promise<OpenedEngine> {
  const witness = witnessOf(block, threadEnd);
  // Without libaio nothing could destroy a context as the thread ends.
  const choice = threadEnd?.takesContexts === false ? 'positional' : engine;
  for (let attempts = 0; ; attempts += 1) {
    try {
      return openEngine({ choice, depth, libaio, witness });
    } catch (error) {
      if (!(error instanceof IoError) || error.errno !== -EAGAIN) throw error;
      const waitMs = SETUP_WAITS_MS[attempts];
      if (waitMs === undefined) throw contextsUsedUp(depth);
      await setTimeout(waitMs);
    }
  }
}

const witnessOf = (block: ThreadBlock, threadEnd: ThreadEnd | null): EngineWitness => ({
  onContext: (context) => {
    // At once: a context that is tried and given up is destroyed once more at the end, of no effect.
    if (context !== 0) threadEnd?.destroy(context);
    block.context = context;
  },
  onInFlight: (inFlight) => {
    block.inFlight = inFlight;
  },
});

function contextsUsedUp(depth: number): IoError {
  const read = (name: string): string => readFileSync(`/proc/sys/fs/${name}`, 'latin1').trim();
  const hint =
    `${read('aio-nr')} of ${read('aio-max-nr')} kernel AIO requests are reserved on this machine and this thread needs ` +
    `${depth} more: stop what holds them, lower --depth, or run: sysctl fs.aio-max-nr=1048576`;
  return new IoError({ syscall: 'io_setup', errno: -EAGAIN, hint });
}
