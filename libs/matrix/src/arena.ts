/**
 * An arena: the row memory of one writer thread. A SharedArrayBuffer made by the main thread, 2 MiB aligned, huge
 * pages advised before its first touch, and given out in extents of whole pages to the writes that ask for rows.
 *
 * The decision: libs/README.md#row-memory-outlives-contexts.
 */
import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { native, roundUp } from '@penstock/native';
import { alignedStart } from './aligned.ts';

/** A huge page on x86-64 and on arm64 with 4 KiB pages. */
export const HUGE_PAGE_BYTES = 2_097_152;
/** The grain of the arena: no disk asks for more memory alignment than a page. */
export const PAGE_BYTES = 4096;

/** An arena as it crosses to its thread: the memory, and the offset at which its aligned part begins. */
export interface ArenaMemory {
  buffer: SharedArrayBuffer;
  /** First byte of the aligned part, from the buffer's start. */
  start: number;
  sizeBytes: number;
  /** True if the kernel took the advice to back it with huge pages, and gives them out at all. */
  hugePages: boolean;
}

/** Makes an arena of `sizeBytes` (rounded up to whole huge pages). Memory is only used up as rows are touched. */
export function createArenaMemory(sizeBytes: number): ArenaMemory {
  const rounded = roundUp(sizeBytes, HUGE_PAGE_BYTES);
  const buffer = new SharedArrayBuffer(rounded + HUGE_PAGE_BYTES);
  const start = alignedStart(buffer, HUGE_PAGE_BYTES);
  const address = native.addressOf(new Uint8Array(buffer, start));
  // Before the first touch: pages that are already small would only be collapsed much later, if ever.
  const hugePages = native.madvise(address, rounded, native.MADV_HUGEPAGE) === 0 && kernelGivesHugePages();
  return { buffer, start, sizeBytes: rounded, hugePages };
}

/** A kernel with huge pages switched off takes the advice too, and does nothing. */
function kernelGivesHugePages(): boolean {
  try {
    return !readFileSync('/sys/kernel/mm/transparent_hugepage/enabled', 'latin1').includes('[never]');
  } catch {
    return false; // a kernel built without them
  }
}

/** Memory granted to one write, for its rows one after the other. */
export interface RowExtent {
  /** First byte, from the start of `Arena.bytes`. */
  start: number;
  sizeBytes: number;
}

function wholePages(sizeBytes: number): number {
  assert(Number.isSafeInteger(sizeBytes) && sizeBytes >= 0, `an extent of ${sizeBytes} bytes was asked for`);
  return Math.max(PAGE_BYTES, roundUp(sizeBytes, PAGE_BYTES));
}

/** The rows of one thread, given out and taken back by that thread alone. */
export class Arena {
  /** The aligned part: index 0 stands at a 2 MiB boundary. */
  readonly bytes: Uint8Array;
  /** The address of `bytes[0]`. */
  readonly address: number;
  readonly hugePages: boolean;
  /** Free extents, by start, never adjacent. */
  readonly #free: RowExtent[];

  constructor(memory: ArenaMemory) {
    this.bytes = new Uint8Array(memory.buffer, memory.start, memory.sizeBytes);
    this.address = native.addressOf(this.bytes);
    this.hugePages = memory.hugePages;
    this.#free = [{ start: 0, sizeBytes: memory.sizeBytes }];
  }

  get sizeBytes(): number {
    return this.bytes.byteLength;
  }

  get freeBytes(): number {
    return this.#free.reduce((sum, extent) => sum + extent.sizeBytes, 0);
  }

  /** Grants `sizeBytes` (rounded up to whole pages), first fit; null when no free extent is that large. */
  acquire(sizeBytes: number): RowExtent | null {
    const wanted = wholePages(sizeBytes);
    for (let index = 0; index < this.#free.length; index += 1) {
      const extent = this.#free[index]!;
      if (extent.sizeBytes < wanted) continue;
      const granted = { start: extent.start, sizeBytes: wanted };
      extent.start += wanted;
      extent.sizeBytes -= wanted;
      if (extent.sizeBytes === 0) this.#free.splice(index, 1);
      return granted;
    }
    return null;
  }

  /** The same from the other end, for small extents: among the large ones they would leave gaps that fit none. */
  acquireFromEnd(sizeBytes: number): RowExtent | null {
    const wanted = wholePages(sizeBytes);
    for (let index = this.#free.length - 1; index >= 0; index -= 1) {
      const extent = this.#free[index]!;
      if (extent.sizeBytes < wanted) continue;
      extent.sizeBytes -= wanted;
      if (extent.sizeBytes === 0) this.#free.splice(index, 1);
      return { start: extent.start + extent.sizeBytes, sizeBytes: wanted };
    }
    return null;
  }

  /** Takes an extent back, whole and once. Only when no iocb in flight points into it. */
  release(extent: RowExtent): void {
    const end = extent.start + extent.sizeBytes;
    let index = this.#free.findIndex((free) => free.start >= end);
    if (index === -1) index = this.#free.length;
    const before = this.#free[index - 1];
    const after = this.#free[index];
    // Released twice, it would be granted to two writes.
    const isFree = before !== undefined && before.start + before.sizeBytes > extent.start;
    assert(!isFree && extent.start >= 0 && end <= this.sizeBytes, 'an extent was released that is not granted');
    const joinsBefore = before !== undefined && before.start + before.sizeBytes === extent.start;
    const joinsAfter = after !== undefined && after.start === end;
    if (joinsBefore && joinsAfter) {
      before.sizeBytes += extent.sizeBytes + after.sizeBytes;
      this.#free.splice(index, 1);
    } else if (joinsBefore) {
      before.sizeBytes += extent.sizeBytes;
    } else if (joinsAfter) {
      after.start = extent.start;
      after.sizeBytes += extent.sizeBytes;
    } else {
      this.#free.splice(index, 0, { start: extent.start, sizeBytes: extent.sizeBytes });
    }
  }
}
