/** Whether every kernel AIO context was given back: of one process, and of the whole machine. */
import { readFileSync, readdirSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/** The kernel counts down in the background, after a process has ended. */
const SETTLE_MS_MAX = 10_000;
/** Where others use AIO too, the count may never be what it was. */
const SETTLE_BESIDE_OTHERS_MS_MAX = 1000;
const LOOK_EVERY_MS = 20;

const aioNr = (): number => Number(readFileSync('/proc/sys/fs/aio-nr', 'latin1'));

/** Contexts that the process has now: each is a mapping of its memory. 0 once it is gone. */
export function contextsOf(pid: number): number {
  try {
    return readFileSync(`/proc/${pid}/maps`, 'latin1').split('/[aio]').length - 1;
  } catch {
    return 0; // it ended, or it is none of this user's
  }
}

/** The machine's other processes that have contexts: they make its count move. */
function users(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => contextsOf(pid) > 0);
}

export class AioCount {
  readonly #before: number = aioNr();
  readonly #usersBefore = users();

  /**
   * Waits until the machine's count is no more than it was when this was made. Returns null if so, else what it is instead;
   * where other processes use AIO as well the count says nothing, and that is told by `unknown`.
   */
  async settled(): Promise<{ wrong: string | null; unknown: string | null }> {
    const begunAt = performance.now();
    const others = new Set(this.#usersBefore);
    // Fewer than before are none of ours: another process has ended.
    while (aioNr() > this.#before) {
      for (const pid of users()) others.add(pid);
      const waitedMs = performance.now() - begunAt;
      if (waitedMs > (others.size > 0 ? SETTLE_BESIDE_OTHERS_MS_MAX : SETTLE_MS_MAX)) break;
      await delay(LOOK_EVERY_MS);
    }
    const now = aioNr();
    if (now <= this.#before) return { wrong: null, unknown: null };
    const found = `aio-nr is ${now}, it was ${this.#before}`;
    if (others.size === 0) return { wrong: found, unknown: null };
    return { wrong: null, unknown: `${found}, but other processes use AIO too (${[...others].join(', ')})` };
  }
}
