/**
 * How far a file is durably written, recorded with the file itself: after a crash the next attempt goes on from there.
 *
 * It is an extended attribute of the file, not a field of the job: so it is never about a file that is gone or on another
 * machine, it needs no round trip, and it does not depend on Redis. It is set once the bytes it covers are flushed; after a
 * power loss an older one may be found, which is true as well. A finished file keeps its last one, with the time of its last
 * change: an attempt may publish the file and die before it reports that.
 *
 * The decision: libs/README.md#checkpoint-in-the-file.
 */
import { hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { WriteRequest } from '@penstock/contract';
import { native } from '@penstock/native';
import { type FileStat, timeKey } from '@penstock/disk';

const ATTRIBUTE = 'user.penstock.checkpoint';
const TEXT_BYTES_MAX = 1024;

/** What is recorded. */
export interface Checkpoint {
  /** The job's key: a file that is written in place may carry the checkpoint of another job. */
  jobKey: string;
  /** The requestKey() of the request. */
  request: string;
  /** The version of the source, which changes whenever its bytes do; '' if the request alone decides the bytes. */
  source: string;
  /** How many bytes from the start of the write survive power loss; never 0. */
  durableBytes: number;
  /** The file's modification time when all of it was written: if it has another one, it was changed since. */
  finished?: string;
}

/**
 * Equal for two requests that write the same bytes to the same place in the same way. For a request that flushes nothing it
 * changes with each boot: the attribute may survive a power loss that the bytes did not.
 */
export function requestKey({ limit: _limit, target: _target, ...request }: WriteRequest): string {
  const boot = request.durability === 'none' ? readFileSync('/proc/sys/kernel/random/boot_id', 'latin1') : '';
  return hash('sha256', JSON.stringify(request) + boot).slice(0, 16);
}

/** The checkpoint of an open file; null if it has none, or was changed since it was finished. */
export function readCheckpoint(fd: number, { modified }: Pick<FileStat, 'modified'>): Checkpoint | null {
  const checkpoint = parseCheckpoint(fd);
  const changed = checkpoint?.finished !== undefined && checkpoint.finished !== timeKey(modified);
  return changed ? null : checkpoint;
}

function parseCheckpoint(fd: number): Checkpoint | null {
  const value = new Uint8Array(new ArrayBuffer(TEXT_BYTES_MAX));
  const length = native.fgetxattr(fd, ATTRIBUTE, value);
  if (length <= 0) return null;
  try {
    const parsed: unknown = JSON.parse(Buffer.from(value.buffer, 0, length).toString('utf8'));
    return isCheckpoint(parsed) ? parsed : null;
  } catch {
    return null; // cut off, or of another program: the file is written from its beginning
  }
}

function isCheckpoint(value: unknown): value is Checkpoint {
  if (typeof value !== 'object' || value === null) return false;
  const { jobKey, request, source, durableBytes, finished } = value as Record<string, unknown>;
  const texts = typeof jobKey === 'string' && typeof request === 'string' && typeof source === 'string';
  const marked = finished === undefined || typeof finished === 'string';
  return texts && marked && Number.isSafeInteger(durableBytes) && Number(durableBytes) > 0;
}

/** Records `checkpoint` with the open file; false if it cannot be kept: the file system has no attributes, or no room. */
export function recordCheckpoint(fd: number, checkpoint: Checkpoint): boolean {
  const text = Buffer.from(JSON.stringify(checkpoint));
  return text.length <= TEXT_BYTES_MAX && native.fsetxattr(fd, ATTRIBUTE, text) === 0;
}

/** Removes the checkpoint of an open file; returns whether it had one. */
export function removeCheckpoint(fd: number): boolean {
  return native.fremovexattr(fd, ATTRIBUTE) === 0;
}

/** How often a running write records a checkpoint: after so many bytes, or so long. */
export interface CheckpointCadence {
  bytes: number;
  ms: number;
}

/** The default: on a fast disk 20 times a second, each with a flush among thousands of rows. */
export const CHECKPOINTS_DEFAULT: CheckpointCadence = { bytes: 67_108_864, ms: 5000 };

/** When the next checkpoint is due: after so many bytes, or, if there are new bytes, so long after the last one. */
export class CheckpointClock {
  readonly #everyBytes: number;
  readonly #everyMs: number;
  #lastBytes: number;
  #lastAtMs: number;

  constructor(every: CheckpointCadence, bytes: number, nowMs: number) {
    this.#everyBytes = every.bytes;
    this.#everyMs = every.ms;
    this.#lastBytes = bytes;
    this.#lastAtMs = nowMs;
  }

  isDue(bytes: number, nowMs: number): boolean {
    const fresh = bytes - this.#lastBytes;
    return fresh >= this.#everyBytes || (fresh > 0 && nowMs - this.#lastAtMs >= this.#everyMs);
  }

  /** A checkpoint that covers `bytes` has begun. */
  restart(bytes: number, nowMs: number): void {
    this.#lastBytes = bytes;
    this.#lastAtMs = nowMs;
  }
}
