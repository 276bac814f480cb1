/** Large files replaced through the queue by empty ones, one after the other: what costs is that their blocks are freed. */
import type { System } from '../../support/system.ts';
import { MIB, stamped } from './large-write.ts';

export interface Replacing {
  /** Writes the files that are to be replaced: to free blocks that were never written costs the device nothing. */
  prepare(): Promise<void>;
  run(): Promise<void>;
}

export function replaceLarge(system: System, files: number, sizeBytes: number): Replacing {
  const write = async (index: number, size: number): Promise<void> => {
    const request = { path: `replaced-${index}.dat`, size, matrix: { rows: 32, rowBytes: MIB }, source: stamped };
    const { returnvalue, failedReason } = await system.finished(await system.add(request, { lifo: true }));
    if (returnvalue?.bytes !== size) throw new Error(`a file was not replaced: ${failedReason}`);
  };
  const writeAll = async (size: number): Promise<void> => {
    for (let index = 0; index < files; index += 1) await write(index, size);
  };
  return { prepare: () => writeAll(sizeBytes), run: () => writeAll(0) };
}
