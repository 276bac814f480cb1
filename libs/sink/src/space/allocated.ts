/** Allocates the holes of a range, found by the FIEMAP ioctl: space that was reserved counts as allocated. */
import { constants } from 'node:os';
import { native } from '@penstock/native';

const { ENOSPC, EOPNOTSUPP } = constants.errno;

// struct fiemap, 32 bytes, and its array of struct fiemap_extent, 56 bytes each: byte offsets.
const FM_START = 0;
const FM_LENGTH = 8;
const FM_MAPPED_EXTENTS = 20;
const FM_EXTENT_COUNT = 24;
const EXTENTS = 32;
const EXTENT_BYTES = 56;
const FE_LOGICAL = 0;
const FE_LENGTH = 16;

const EXTENTS_PER_CALL = 128;

/**
 * Allocates the holes among the `length` bytes at `offset`, and nothing else: 0 or -errno; -ENOSPC if the holes do not fit,
 * or if the file system does not report where they are.
 */
export function fillGaps(fd: number, offset: number, length: number): number {
  const end = offset + length;
  const fiemap = new DataView(new ArrayBuffer(EXTENTS + EXTENTS_PER_CALL * EXTENT_BYTES));
  let position = offset;
  while (position < end) {
    fiemap.setBigUint64(FM_START, BigInt(position), true);
    fiemap.setBigUint64(FM_LENGTH, BigInt(end - position), true);
    fiemap.setUint32(FM_EXTENT_COUNT, EXTENTS_PER_CALL, true);
    const result = native.mapExtents(fd, new Uint8Array(fiemap.buffer));
    if (result < 0) return result === -EOPNOTSUPP ? -ENOSPC : result;
    const count = fiemap.getUint32(FM_MAPPED_EXTENTS, true);
    for (let index = 0; index < count; index += 1) {
      const extent = EXTENTS + index * EXTENT_BYTES;
      const start = Number(fiemap.getBigUint64(extent + FE_LOGICAL, true));
      const gap = fillGap(fd, position, Math.min(start, end));
      if (gap < 0) return gap;
      position = Math.max(position, start + Number(fiemap.getBigUint64(extent + FE_LENGTH, true)));
    }
    if (count < EXTENTS_PER_CALL) break;
  }
  return fillGap(fd, position, end);
}

function fillGap(fd: number, start: number, end: number): number {
  return start < end ? native.fallocate(fd, start, end - start) : 0;
}
