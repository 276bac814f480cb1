/**
 * One file system as the host sees it: how much is free, asked seldom and never waited for on the main thread, and what
 * of that is promised already.
 */
import { statfs } from 'node:fs/promises';
import { constants } from 'node:os';
import { performance } from 'node:perf_hooks';
import { inTime, IoError } from '@penstock/contract';
import { SpaceLedger } from './ledger.ts';

const { ETIMEDOUT } = constants.errno;

export interface Reading {
  /** Bytes left for this user. */
  availableBytes: number;
  /** Of what is free, bytes that are left to the embedded Redis, and not in `availableBytes`. */
  keptBytes?: number;
  /** 0 if the file system does not report it. */
  totalBytes: number;
  /** In time of performance.now(), when it was asked. */
  askedAt: number;
}

/** A reading without its time. */
export type Space = Omit<Reading, 'askedAt'>;

/** Asks a file system; a parameter so that tests can be one that hangs. */
export type AskSpace = (path: string) => Promise<Space>;

/** How old an answer may be that decides about a write which is not small beside what is free. */
const FRESH_MS = 500;
/** How old one may be by which small writes are let through. */
const STALE_MS_MAX = 30_000;
/** A network mount whose server is gone never answers. */
const ANSWER_MS_MAX = 5000;

export class FileSystem {
  readonly ledger: SpaceLedger = new SpaceLedger();
  #path: string;
  readonly #ask: AskSpace;
  #last: Reading | null = null;
  #asking: Promise<Reading> | null = null;
  #shown: Space | null = null;
  #isShowing = false;

  /** `path` is any directory on it. */
  constructor(path: string, ask: AskSpace = askKernel) {
    this.#path = path;
    this.#ask = ask;
  }

  /** From now on it is found at `path`. */
  askAt(path: string): void {
    this.#path = path;
  }

  /**
   * An answer to be shown, however old; null before the first. With `renew` it is asked again, for the next call. No write is let
   * through by what was asked for this: right after, something else may have filled the disk.
   */
  shown(renew: boolean): Space | null {
    if (renew && this.#asking === null && !this.#isShowing) void this.#show();
    return this.#shown ?? this.#last;
  }

  async #show(): Promise<void> {
    this.#isShowing = true;
    try {
      this.#shown = await this.#ask(this.#path);
    } catch {
      // What is written there reports it.
    }
    this.#isShowing = false;
  }

  /** The last answer, null if it is too old to decide by; one that is not fresh is renewed meanwhile. */
  glance(): Reading | null {
    const ageMs = this.#last === null ? Number.POSITIVE_INFINITY : performance.now() - this.#last.askedAt;
    if (ageMs > FRESH_MS) this.#read().catch(() => {}); // look() and lookAgain() report the error
    return ageMs > STALE_MS_MAX ? null : this.#last;
  }

  /** A fresh answer. @throws (rejects with) IoError; ETIMEDOUT if none comes */
  look(): Promise<Reading> {
    const last = this.#last;
    if (last !== null && performance.now() - last.askedAt <= FRESH_MS) return Promise.resolve(last);
    return answerInTime(this.#read(), this.#path);
  }

  /** An answer to a question that is asked from now on. @throws (rejects with) IoError; ETIMEDOUT if none comes */
  async lookAgain(): Promise<Reading> {
    if (this.#asking !== null) await answerInTime(this.#asking, this.#path);
    return answerInTime(this.#read(), this.#path);
  }

  /** One question at a time: each that hangs holds a thread of libuv's four. */
  #read(): Promise<Reading> {
    this.#asking ??= this.#readNow().finally(() => {
      this.#asking = null;
    });
    return this.#asking;
  }

  async #readNow(): Promise<Reading> {
    const snapshot = this.ledger.beginReading();
    const askedAt = performance.now();
    const reading = { ...(await this.#ask(this.#path)), askedAt };
    this.ledger.endReading(snapshot);
    this.#last = reading;
    return reading;
  }
}

export async function askKernel(path: string): Promise<Space> {
  try {
    const { bavail, blocks, bsize } = await statfs(path);
    return { availableBytes: bavail * bsize, totalBytes: blocks * bsize };
  } catch (error) {
    const { errno = 0, code } = error as NodeJS.ErrnoException;
    throw new IoError({ syscall: 'statfs', errno, path, ...(code === undefined ? {} : { code }), cause: error });
  }
}

/** `answer` of the file system of `path`. @throws (rejects with) IoError ETIMEDOUT if it does not come within `ms` */
export function answerInTime<T>(answer: Promise<T>, path: string, ms: number = ANSWER_MS_MAX): Promise<T> {
  return inTime(ms, answer, () => {
    const hint = `The file system of ${path} has not answered for ${ms / 1000} s: check its device, its server and the mount.`;
    throw new IoError({ syscall: 'statfs', errno: -ETIMEDOUT, path, hint });
  });
}
