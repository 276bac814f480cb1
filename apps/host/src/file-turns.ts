/**
 * Writes of this host that want one file in place take turns, the oldest job first: each gets the file's lock as the one
 * before it gives it back. They hold job slots while they wait, which writes to other files need too: so few wait at a time, and
 * none for long. A write that finds no place, or waits too long, is refused as by the lock itself, and is attempted again
 * (libs/queue, wait/lock-waits.ts).
 *
 * The decision: libs/README.md#turns-for-a-file.
 */
import { constants } from 'node:os';
import { setTimeout as startTimer } from 'node:timers';
import { setTimeout } from 'node:timers/promises';
import { IoError, type JobRequest } from '@penstock/contract';
import type { WriteJobInfo } from '@penstock/queue';

const WAIT_MS_MAX = 2000;
/** Between two attempts to get a lock that another process has. */
const RETRY_MS = 50;
/** If another process used the file lately, it is let in after so many turns of this host, for so long. */
const TURNS_IN_A_ROW = 8;
const LET_IN_MS = 2 * RETRY_MS;
const MET_MS = 5000;

export interface TurnApplicant {
  /** The path of the file, for messages. */
  path: string;
  /** When its job was added, in milliseconds since the epoch. */
  createdAtMs: number;
  /** Calls back once when it shall not wait any more; at once if that is so already. */
  readonly whenAborted: (listener: () => void) => void;
}

interface Waiting {
  createdAtMs: number;
  /** `true`: it has the turn. */
  end(hasTurn: boolean): void;
}

interface Line {
  waiting: Waiting[];
  /** When another process had the file's lock last, in time of performance.now(). */
  metAt: number;
  turns: number;
}

/** One write's time with its file, within this host. */
export interface Turn {
  /**
   * Carries out `attempt`, again and again for a while if another process has the file's lock.
   * @throws (rejects with) what the last one rejects with
   */
  hold<T>(attempt: () => Promise<T>): Promise<T>;
  end(): void;
}

/** The file that a request wants for itself; null if it makes a file of its own, or several. */
export function wantedFile(request: JobRequest): string | null {
  if ('files' in request || request.publish !== 'in-place') return null;
  return `${request.root}\0${request.path}`;
}

/** An attempt at `request`, which wants a file, as an applicant for its turn. */
export function turnOf(request: JobRequest, job: Pick<WriteJobInfo, 'createdAtMs' | 'whenAborted'>): TurnApplicant {
  const path = 'path' in request ? request.path : '';
  return { path, createdAtMs: job.createdAtMs, whenAborted: (listener) => job.whenAborted(() => listener()) };
}

export class FileTurns {
  readonly #lines = new Map<string, Line>();
  readonly #waitingMax: number;
  readonly #waitMsMax: number;
  #waiting = 0;

  /** @param jobSlots of the host: a quarter of them may be held by writes that wait */
  constructor(jobSlots: number, waitMsMax: number = WAIT_MS_MAX) {
    this.#waitingMax = Math.max(1, Math.floor(jobSlots / 4));
    this.#waitMsMax = waitMsMax;
  }

  /**
   * Resolves with the turn at `file`; with null if it was aborted before: what it does then needs no lock.
   * @throws (rejects with) IoError EBUSY
   */
  async take(file: string, applicant: TurnApplicant): Promise<Turn | null> {
    const line = this.#lines.get(file);
    if (line === undefined) {
      const fresh = { waiting: [], metAt: Number.NEGATIVE_INFINITY, turns: 0 };
      this.#lines.set(file, fresh);
      return this.#turn(file, fresh, applicant);
    }
    if (this.#waiting >= this.#waitingMax) throw taken(applicant.path);
    this.#waiting += 1;
    const outcome = await this.#wait(line, applicant);
    this.#waiting -= 1;
    if (outcome === 'turn') return this.#turn(file, line, applicant);
    if (outcome === 'aborted') return null;
    throw taken(applicant.path);
  }

  #wait(line: Line, { createdAtMs, whenAborted }: TurnApplicant): Promise<'turn' | 'aborted' | 'late'> {
    return new Promise((resolve) => {
      const waiting: Waiting = { createdAtMs, end: (hasTurn) => leave(hasTurn ? 'turn' : 'aborted') };
      const late = startTimer(() => leave('late'), this.#waitMsMax);
      let over = false;
      const leave = (outcome: 'turn' | 'aborted' | 'late'): void => {
        if (over) return;
        over = true;
        clearTimeout(late);
        const at = line.waiting.indexOf(waiting);
        if (at !== -1) line.waiting.splice(at, 1);
        resolve(outcome);
      };
      // The oldest job first: one that was refused and is attempted again does not begin at the end.
      const at = line.waiting.findIndex((other) => other.createdAtMs > createdAtMs);
      if (at === -1) line.waiting.push(waiting);
      else line.waiting.splice(at, 0, waiting);
      whenAborted(() => waiting.end(false));
    });
  }

  #turn(file: string, line: Line, applicant: TurnApplicant): Turn {
    let isAborted = false;
    applicant.whenAborted(() => {
      isAborted = true;
    });
    const hold = async <T>(attempt: () => Promise<T>): Promise<T> => {
      const until = performance.now() + this.#waitMsMax;
      for (;;) {
        try {
          return await attempt();
        } catch (error) {
          if (!isHeldElsewhere(error)) throw error;
          line.metAt = performance.now();
          if (isAborted || line.metAt >= until) throw error;
        }
        await setTimeout(RETRY_MS * (0.5 + Math.random()));
      }
    };
    return { hold, end: () => void this.#pass(file, line) };
  }

  async #pass(file: string, line: Line): Promise<void> {
    line.turns += 1;
    const isContended = performance.now() - line.metAt < MET_MS;
    if (isContended && line.turns % TURNS_IN_A_ROW === 0) await setTimeout(LET_IN_MS);
    const next = line.waiting[0];
    if (next === undefined) this.#lines.delete(file);
    else next.end(true);
  }
}

/** Another process has the lock: a write of this host has its turn first. */
function isHeldElsewhere(error: unknown): boolean {
  const { code, syscall } = error as { code?: unknown; syscall?: unknown };
  return code === 'EBUSY' && syscall === 'fcntl';
}

function taken(path: string): IoError {
  const hint = 'Other writes of this host are at work in this very file, one after the other: try again.';
  return new IoError({ syscall: 'fcntl', errno: -constants.errno.EBUSY, path, hint });
}
