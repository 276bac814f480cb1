/**
 * How far a file is surely written, recorded with the file itself: a crashed attempt's successor goes on from there.
 *
 * It is an extended attribute of the very file, not a field of the job: it cannot speak of a file that is gone or of
 * another machine's, it needs no round trip, and it is there also when Redis is not. It is set after the bytes it
 * speaks of are flushed; after a power loss it may be an older one, which is true as well. A finished file keeps its
 * last one, with the time of its last change: an attempt that published it may die before anybody hears of it.
 */
import { hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { WriteRequest } from '@penstock/contract';
import { native } from '@penstock/native';
import { type FileStat, timeKey } from '@penstock/disk';

const ATTRIBUTE = 'user.penstock.checkpoint';
const TEXT_BYTES_MAX = 1024;

export interface Checkpoint {
  /** Of the job: a file in place may carry what another one left. */
  jobKey: string;
  /** What requestKey() says of the request. */
  request: string;
  /** Which bytes the source had: changes whenever they do. '' where the request alone decides that. */
  source: string;
  /** Bytes from the start of the write that survive; never 0. */
  durableBytes: number;
  /** When the file was last modified as all of it was there: a file that was changed since is not finished. */
  finished?: string;
}

/**
 * The same for two requests that write the same bytes to the same place in the same way; of one whose bytes are not
 * flushed, only until the machine is started again: the attribute may outlive a power loss that they did not.
 */
export function requestKey({ limit: _limit, target: _target, ...request }: WriteRequest): string {
  const boot = request.durability === 'none' ? readFileSync('/proc/sys/kernel/random/boot_id', 'latin1') : '';
  return hash('sha256', JSON.stringify(request) + boot).slice(0, 16);
}

/** The checkpoint that an open file carries and that still holds, or null. */
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
    return null; // cut off, or somebody else's: the file is written from its beginning
  }
}

function isCheckpoint(value: unknown): value is Checkpoint {
  if (typeof value !== 'object' || value === null) return false;
  const { jobKey, request, source, durableBytes, finished } = value as Record<string, unknown>;
  const texts = typeof jobKey === 'string' && typeof request === 'string' && typeof source === 'string';
  const marked = finished === undefined || typeof finished === 'string';
  return texts && marked && Number.isSafeInteger(durableBytes) && Number(durableBytes) > 0;
}

/** Records `checkpoint` with the open file; false where it cannot be kept: no attributes here, or no room for it. */
export function recordCheckpoint(fd: number, checkpoint: Checkpoint): boolean {
  const text = Buffer.from(JSON.stringify(checkpoint));
  return text.length <= TEXT_BYTES_MAX && native.fsetxattr(fd, ATTRIBUTE, text) === 0;
}

/** Returns whether it carried one. */
export function removeCheckpoint(fd: number): boolean {
  return native.fremovexattr(fd, ATTRIBUTE) === 0;
}

/** How often a running write records how far it is: after so many bytes, or so long. */
export interface CheckpointCadence {
  bytes: number;
  ms: number;
}

/** Unless the host says otherwise: on a fast disk 20 times a second, each of them a flush among thousands of rows. */
export const CHECKPOINTS_DEFAULT: CheckpointCadence = { bytes: 67_108_864, ms: 5000 };

/** When the next checkpoint is due: after so many bytes, or so long after the last while there are new ones. */
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

  /** One has begun that covers `bytes`. */
  restart(bytes: number, nowMs: number): void {
    this.#lastBytes = bytes;
    this.#lastAtMs = nowMs;
  }
}
