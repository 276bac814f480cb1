/**
 * A disk that remembers: a file system of one file, served over /dev/fuse, which lies beneath a loop device. It holds the
 * disk's bytes in memory and writes down every write and every flush in the order in which it carried them out. What a
 * power cut may leave of the disk can be made from that afterwards (power-cut.ts). What was answered before a flush is
 * durable from then on.
 *
 *   node recording-disk.mjs <mount point> <size in bytes> <file of the recording>
 *
 * The second file, "position", is as long as there are records: to stat it tells how far the disk is.
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import { serveFuse } from '../disks/fuse.mjs';

const [mountPoint, sizeText, recordingPath] = process.argv.slice(2);
const size = Number(sizeText);

const RECORD_HEADER_BYTES = 16;
const RECORD_WRITE = 1;
const RECORD_FLUSH = 2;

const disk = Buffer.alloc(size); // pages that are never touched take up nothing
const recording = openSync(recordingPath, 'wx');
let recordCount = 0;

/** Header: kind u32, length u32, offset u64; then the bytes of a write. */
function record(kind, offset, bytes) {
  const header = Buffer.alloc(RECORD_HEADER_BYTES);
  header.writeUInt32LE(kind, 0);
  header.writeUInt32LE(bytes.length, 4);
  header.writeBigUInt64LE(BigInt(offset), 8);
  writeSync(recording, bytes.length === 0 ? header : Buffer.concat([header, bytes]));
  recordCount += 1;
  return 0;
}

const files = {
  disk: {
    size: () => size,
    read: (offset, length) => disk.subarray(offset, Math.min(size, offset + length)),
    write(offset, bytes) {
      bytes.copy(disk, offset);
      return record(RECORD_WRITE, offset, bytes);
    },
    flush: () => record(RECORD_FLUSH, 0, Buffer.alloc(0)),
  },
  position: { size: () => recordCount, read: () => Buffer.alloc(0), write: () => 0, flush: () => 0 },
};

serveFuse(mountPoint, 'penstock-recording-disk', files, (code) => {
  closeSync(recording);
  process.exit(code);
});
process.channel?.unref();
