/**
 * The blocks at the two ends of a range that begins or ends inside a block: direct I/O writes whole blocks, so the bytes
 * around the range are read first and written again with it. The file's lock keeps other writes out meanwhile.
 */
import { constants } from 'node:os';
import { IoError } from '@penstock/contract';
import { native } from '@penstock/native';

const { EINVAL, EOPNOTSUPP } = constants.errno;

/**
 * Reads `length` bytes at `offset` of an open file, both multiples of `align`; what is behind its end is zeros.
 * @throws IoError
 */
export function readBlock(fd: number, path: string, offset: number, length: number, align: number): Uint8Array {
  const memory = new Uint8Array(new ArrayBuffer(length + align));
  const skipped = (align - (native.addressOf(memory) % align)) % align;
  const block = memory.subarray(skipped, skipped + length);
  let done = 0;
  while (done < length) {
    const address = native.addressOf(block) + done;
    let result = native.pread(fd, address, length - done, offset + done);
    if (result === -EINVAL || result === -EOPNOTSUPP) result = readBuffered(fd, address, length - done, offset + done);
    if (result < 0) throw new IoError({ syscall: 'pread', errno: result, path, offset: offset + done, length });
    if (result === 0 || result % align !== 0) break; // the end of the file
    done += result;
  }
  return block;
}

/** Reads through the page cache, for file systems that open files for direct I/O and refuse direct reads. */
function readBuffered(fd: number, address: number, length: number, offset: number): number {
  const opened = native.openat(native.AT_FDCWD, `/proc/self/fd/${fd}`, native.O_RDONLY, 0);
  if (opened < 0) return opened;
  try {
    return native.pread(opened, address, length, offset);
  } finally {
    native.close(opened);
  }
}

/** The range of a write in its file, in whole blocks that the rows tile; at its ends may be bytes that stay as they are. */
export interface Span {
  /** The file offset of its first block. */
  start: number;
  /** How many bytes of the first block are before the write's own. */
  headBytes: number;
  /** These bytes, which are copied into the first row; null if there are none. */
  head: Uint8Array | null;
}

/** The span of a write that has the file to itself, from its beginning. */
export const WHOLE_FILE: Span = { start: 0, headBytes: 0, head: null };

/** The span of a write whose first byte goes to `offset` of a file of `fileBytes`. @throws IoError */
export function spanFrom(fd: number, path: string, offset: number, fileBytes: number, align: number): Span {
  const headBytes = offset % align;
  const start = offset - headBytes;
  if (headBytes === 0) return { start, headBytes, head: null };
  const head = start < fileBytes ? readBlock(fd, path, start, align, align) : new Uint8Array(align);
  return { start, headBytes, head: head.subarray(0, headBytes) };
}

/**
 * The bytes behind a write that ends at `end`, up to the end of that block; empty if the write ends with a block, or the file
 * of `fileBytes` ends before.
 * @throws IoError
 */
export function bytesBehind(fd: number, path: string, end: number, fileBytes: number, align: number): Uint8Array {
  const used = end % align;
  if (used === 0 || fileBytes <= end) return new Uint8Array(0);
  return readBlock(fd, path, end - used, align, align).subarray(used);
}
