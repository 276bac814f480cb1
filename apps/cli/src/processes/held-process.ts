/** A process that has ended except for threads inside calls to a disk that does not answer: nothing can end those. */
import type { ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';

const CHECK_MS = 250;
/** A process that simply ends is a zombie for an instant only. */
const CHECKS_MIN = 4;

export interface HeldWatch {
  /** Resolves once only its disk holds the process: it is not worth waiting for then. */
  readonly held: Promise<void>;
  /** Ends the watch. */
  end(): void;
}

/** Watches `child` from its start, or from the order to end, on. Keeps no process alive. */
export function watchHeld(child: Pick<ChildProcess, 'pid'>): HeldWatch {
  let timer: NodeJS.Timeout | undefined;
  const held = new Promise<void>((resolve) => {
    let checks = 0;
    timer = setInterval(() => {
      checks = isZombie(child.pid) ? checks + 1 : 0;
      if (checks < CHECKS_MIN) return;
      clearInterval(timer);
      resolve();
    }, CHECK_MS).unref();
  });
  return { held, end: () => clearInterval(timer) };
}

function isZombie(pid: number | undefined): boolean {
  try {
    // The name may have blanks and brackets in it.
    return readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').at(-1)?.startsWith('Z') === true;
  } catch {
    return false; // gone: the child's own 'exit' reports that
  }
}
