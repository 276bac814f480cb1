/**
 * Reads of a source that the page cache has: memory to memory, where direct I/O would have the disk read what is there already.
 * Only what is cached as a whole is read so, and nothing that is not cached is brought into the cache.
 *
 * Dirty pages are not read so: a program that has such a page mapped can go on storing into it, and no time of the file
 * changes, by which a copy is known to be half of each version (assertUnchanged). A direct read has them written out first,
 * and the next store into one changes the file's times.
 *
 * The decision: libs/README.md#cached-rows-of-a-copy.
 */
import { native } from '@penstock/native';
import type { Origin } from './origin.ts';

const { PAGE_BYTES } = native;

/** Shorter reads go to the disk in a batch with others': measured with files of 4 and 64 KiB, asking first gained nothing. */
const READ_BYTES_MIN = 131_072;

export class CachedReads {
  readonly #origin: Origin;
  readonly #statusFlags: number;
  /** False once the kernel does not say what it has (before Linux 6.5, another user's file). */
  #isKnown: boolean;

  constructor(origin: Origin) {
    this.#origin = origin;
    // A file system that reports no alignment may be on another machine, and its cache older than the file.
    this.#isKnown = origin.direct && origin.device === null;
    this.#statusFlags = this.#isKnown ? native.statusFlags(origin.fd) : 0;
  }

  /** Reads the `length` bytes at `offset` to `address`; false if not all are cached: what is at `address` then means nothing. */
  read(address: number, length: number, offset: number): boolean {
    const origin = this.#origin;
    if (!this.#isKnown || length < READ_BYTES_MIN || !origin.direct) return false;
    const pages = native.cachedPages(origin.fd, offset, length);
    if (pages < 0) this.#isKnown = false;
    if (pages < pagesOf(offset, length) || native.lastDirtyPages() > 0) return false;
    // Reads that are in flight keep what the flags were when they were submitted.
    const flags = this.#statusFlags;
    if (native.setStatusFlags(origin.fd, flags & ~native.O_DIRECT) < 0) return false;
    const bytes = native.preadNowait(origin.fd, address, length, offset);
    if (native.setStatusFlags(origin.fd, flags) < 0) origin.direct = false; // its reads go on through the page cache
    return bytes === length;
  }
}

/** Pages that the `length` bytes at `offset` are in. */
const pagesOf = (offset: number, length: number): number =>
  Math.ceil((offset + length) / PAGE_BYTES) - Math.floor(offset / PAGE_BYTES);
