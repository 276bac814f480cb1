/** Which port kernel AIO goes by here: the first that carries out a real write, and why none of those before it. */
import { constants } from 'node:os';
import { type EngineChoice, IoError } from '@penstock/contract';
import { AioEngine, type EngineWitness } from './engine.ts';
import { libaioPort, syscallPort } from './kernel.ts';
import type { AioPort } from './port.ts';
import { positionalPort } from './positional.ts';
import { type Refusal, tryOut } from './trial.ts';

const { EAGAIN, ENOMEM } = constants.errno;

/** What openEngine() has to know. */
export interface EngineOrder {
  choice: EngineChoice;
  /** iocbs that may be in flight at once. */
  depth: number;
  /** The libaio to load before those under the usual names. */
  libaio?: string | undefined;
  witness?: EngineWitness | undefined;
}

/** An engine that has carried out a write, and why no port before its own did, if there is one. */
export interface OpenedEngine {
  engine: AioEngine;
  reason: string | undefined;
}

/**
 * Opens an engine by `choice`. By 'auto' each port is tried by a real write (trial.ts), and if one is refused the next is
 * taken; a port that is asked for by its name is that one or none.
 * @throws IoError if contexts or memory are used up just now (EAGAIN, ENOMEM), or the named port does not work here
 */
export function openEngine({ choice, depth, libaio, witness }: EngineOrder): OpenedEngine {
  if (choice === 'positional') return positional(depth, 'positional I/O was asked for');
  const refused: string[] = [];
  for (const port of kernelPorts(choice, libaio)) {
    const opened = openTried(port, depth, witness);
    if (opened instanceof AioEngine) return { engine: opened, reason: reasonOf(refused, port) };
    const error = new IoError({ ...opened, hint: HINT });
    if (choice !== 'auto') throw error;
    refused.push(`${port.name}: ${opened.syscall} ${error.code}`);
  }
  return positional(depth, `kernel AIO is not available here (${refused.join(', ')})`);
}

const HINT =
  'Kernel AIO was asked for, and a sandbox of this process refuses it: leave --engine out to go another way.';

function reasonOf(refused: readonly string[], { name }: AioPort): string | undefined {
  if (refused.length === 0) return undefined;
  return `a sandbox refuses what libaio calls (${refused.join(', ')}): ${name} are used, as fast`;
}

function kernelPorts(choice: EngineChoice, file: string | undefined): AioPort[] {
  if (choice === 'syscalls') return [syscallPort()];
  const port = libaioPort(file) ?? (file === undefined ? null : libaioPort());
  if (choice === 'auto') return port === null ? [syscallPort()] : [port, syscallPort()];
  if (port === null) throw new Error('libaio was asked for and cannot be loaded; install libaio');
  return [port];
}

/** The engine over `port`, or what keeps it from working. @throws IoError if waiting may help */
function openTried(port: AioPort, depth: number, witness: EngineWitness | undefined): AioEngine | Refusal {
  let engine: AioEngine;
  try {
    engine = new AioEngine(port, depth, witness);
  } catch (error) {
    if (!(error instanceof IoError) || error.errno === -EAGAIN || error.errno === -ENOMEM) throw error;
    return { syscall: error.syscall, errno: error.errno };
  }
  const refusal = tryOut(engine);
  if (refusal === null) return engine;
  try {
    engine.destroy();
  } catch (error) {
    // It stays with the process until that ends; the way that is taken instead does not need its place.
    if (!(error instanceof IoError)) throw error;
  }
  return refusal;
}

const positional = (depth: number, reason: string): OpenedEngine => ({
  engine: new AioEngine(positionalPort, depth),
  reason,
});
