/**
 * Asks roots one after the other which device they are on, and makes the default one if it is missing. In a
 * thread that can be lost: a file system that does not answer holds up this one alone.
 */
import { statSync } from 'node:fs';
import { constants } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { makeDirectories } from '@penstock/redis/directories';
import type { Asked, RootAnswer } from './asking.ts';

const { ENOTDIR } = constants.errno; // before it is used: what follows runs as this module is loaded

for (const root of workerData as Asked[]) parentPort!.postMessage(answerOf(root));

function answerOf({ name, path, isMade }: Asked): RootAnswer {
  let syscall: 'mkdir' | 'stat' = 'mkdir';
  try {
    if (isMade) makeDirectories(path);
    syscall = 'stat';
    const stat = statSync(path);
    if (stat.isDirectory()) return { name, device: stat.dev };
    return { name, failure: { syscall, errno: -ENOTDIR, code: 'ENOTDIR', path } };
  } catch (error) {
    const { errno = 0, code = 'EUNKNOWN' } = error as NodeJS.ErrnoException;
    return { name, failure: { syscall, errno, code, path } };
  }
}
