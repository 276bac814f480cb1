/** A process that has ended but for threads inside calls to a disk that does not answer: nobody can end those. */
import type { ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';

const LOOK_MS = 250;
/** A process that merely ended is seen so for an instant only. */
const LOOKS = 4;

/**
 * Calls `onHeld` once `child` has ended so far that only its disk holds it: it is not worth waiting for then. Returns what
 * ends the looking.
 */
export function watchHeld(child: Pick<ChildProcess, 'pid'>, onHeld: () => void): () => void {
  let looks = 0;
  const timer = setInterval(() => {
    looks = isZombie(child.pid) ? looks + 1 : 0;
    if (looks < LOOKS) return;
    clearInterval(timer);
    onHeld();
  }, LOOK_MS);
  timer.unref();
  return () => clearInterval(timer);
}

function isZombie(pid: number | undefined): boolean {
  try {
    // The name may have blanks and brackets in it.
    return readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').at(-1)?.startsWith('Z') === true;
  } catch {
    return false; // gone: its end is told otherwise
  }
}
