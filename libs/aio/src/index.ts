/** Kernel AIO: the port and what stands behind it, the engine of slots, and the loop that shares it among lanes. */
export {
  AioEngine,
  type EngineWitness,
  type PortFactory,
  SLOT_COMPLETED,
  SLOT_FREE,
  SLOT_IN_FLIGHT,
} from './engine.ts';
export { AioLoop, type Lane } from './loop.ts';
export type { AioPort, PortName } from './port.ts';
export { libaioPort, syscallPort } from './kernel.ts';
export { tryOut } from './trial.ts';
export { type OpenedEngine, openEngine } from './open-engine.ts';
export { positionalPort } from './positional.ts';
export { type FaultyOptions, faultyPort } from './faulty.ts';
export { IO_BYTES_MAX } from './abi.ts';
export * as abi from './abi.ts';
