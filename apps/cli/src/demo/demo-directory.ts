/** Where the demo writes: a private directory on a real disk with room for it. */
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  rmdirSync,
  statfsSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatBytes } from '@penstock/contract';
import { isInMemory } from '@penstock/disk';

export interface DemoDirectory {
  directory: string;
  /** Why the first choice was passed over; undefined if it was taken. */
  note: string | undefined;
  /** Removes the directory and all in it. */
  remove(): void;
}

/**
 * Makes a private directory with room for `bytes`: below `asked`, or below the system's temporary directory, or, if that
 * is memory or full, below .cache in the current directory.
 * @throws if none of them will do: the message says what is wrong with each
 */
export function makeDemoDirectory(bytes: number, asked: string | undefined): DemoDirectory {
  const candidates = asked === undefined ? [tmpdir(), join(process.cwd(), '.cache')] : [asked];
  const refusals: string[] = [];
  for (const parent of candidates) {
    const isMade = !existsSync(parent);
    const refusal = refusalOf(parent, bytes);
    if (refusal !== null) {
      refusals.push(refusal);
      if (isMade) removeIfEmpty(parent);
      continue;
    }
    const directory = mkdtempSync(join(realpathSync(parent), 'penstock-demo-'));
    return {
      directory,
      note: refusals[0],
      remove: () => {
        rmSync(directory, { recursive: true, force: true });
        if (isMade) removeIfEmpty(parent);
      },
    };
  }
  throw Object.assign(new Error(`the demo has no place to write: ${refusals.join('; ')}`), {
    hint: `name a directory on a disk with ${formatBytes(bytes)} free: penstock demo --dir /some/where`,
  });
}

/** Why `parent` will not do; null if it will. */
function refusalOf(parent: string, bytes: number): string | null {
  try {
    mkdirSync(parent, { recursive: true });
    accessSync(parent, constants.W_OK | constants.X_OK);
    const { type, bavail, bsize } = statfsSync(parent);
    if (isInMemory(type)) return `${parent} is memory, not a disk`;
    const free = bavail * bsize;
    return free < bytes ? `${parent} has ${formatBytes(free)} free, ${formatBytes(bytes)} are needed` : null;
  } catch (error) {
    return (error as Error).message;
  }
}

function removeIfEmpty(directory: string): void {
  try {
    rmdirSync(directory);
  } catch {
    // others have put something there, or it was never made
  }
}
