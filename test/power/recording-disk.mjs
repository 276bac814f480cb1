/**
 * A disk that remembers: a file system of one file, served over /dev/fuse, which lies beneath a loop device. It holds the
 * disk's bytes in memory and writes down every write and every flush in the order in which it carried them out. What a
 * power cut may leave of the disk can be made from that afterwards (power-cut.ts).
 *
 *   node recording-disk.mjs <mount point> <size in bytes> <file of the recording>
 *
 * The loop device turns a file system's flush (REQ_OP_FLUSH, and FUA, which it does not offer) into an fsync of its
 * backing file, and that arrives here as FSYNC. What was answered before is durable from then on.
 *
 * The second file, "position", is as long as there are records: to stat it tells how far the disk is.
 *
 * A process of its own, for the kernel waits for its answers: it must never wait for the file system on that disk.
 */
import { spawn } from 'node:child_process';
import { closeSync, openSync, read, writeSync } from 'node:fs';

const [mountPoint, sizeText, recordingPath] = process.argv.slice(2);
const size = Number(sizeText);

// <linux/fuse.h>
const [LOOKUP, FORGET, GETATTR, SETATTR, OPEN, READ, WRITE, STATFS, RELEASE, FSYNC] = [
  1, 2, 3, 4, 14, 15, 16, 17, 18, 20,
];
const [FLUSH, INIT, ACCESS, INTERRUPT, DESTROY, BATCH_FORGET] = [25, 26, 34, 36, 38, 42];
const IN_HEADER_BYTES = 40;
const OUT_HEADER_BYTES = 16;
const FUSE_BIG_WRITES = 1 << 5;
const FUSE_MAX_PAGES = 1 << 22;
const FOPEN_DIRECT_IO = 1;
const [ENOENT, ENOSYS] = [2, 38];
const WRITE_BYTES_MAX = 1_048_576;

const ROOT = 1;
const NODES = { disk: 2, position: 3 };

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
}

const fuse = openSync('/dev/fuse', 'r+');

function answer(unique, body, error = 0) {
  const message = Buffer.alloc(OUT_HEADER_BYTES + body.length);
  message.writeUInt32LE(message.length, 0);
  message.writeInt32LE(-error, 4);
  message.writeBigUInt64LE(unique, 8);
  body.copy(message, OUT_HEADER_BYTES);
  writeSync(fuse, message);
}

const NOTHING = Buffer.alloc(0);

function attributesOf(node) {
  const attributes = Buffer.alloc(88);
  const length = node === ROOT ? 0 : node === NODES.disk ? size : recordCount;
  attributes.writeBigUInt64LE(BigInt(node), 0);
  attributes.writeBigUInt64LE(BigInt(length), 8);
  attributes.writeBigUInt64LE(BigInt(Math.ceil(length / 512)), 16);
  attributes.writeUInt32LE(node === ROOT ? 0o040700 : 0o100600, 60);
  attributes.writeUInt32LE(1, 64); // links
  attributes.writeUInt32LE(4096, 80); // block size
  return attributes;
}

/** Never to be kept: no time of validity. */
const attributeAnswer = (node) => Buffer.concat([Buffer.alloc(16), attributesOf(node)]);

function entryAnswer(node) {
  const entry = Buffer.alloc(40);
  entry.writeBigUInt64LE(BigInt(node), 0);
  return Buffer.concat([entry, attributesOf(node)]);
}

function initAnswer() {
  const body = Buffer.alloc(64);
  body.writeUInt32LE(7, 0); // the version of the protocol: 7.31
  body.writeUInt32LE(31, 4);
  body.writeUInt32LE(WRITE_BYTES_MAX, 8); // read ahead
  body.writeUInt32LE(FUSE_BIG_WRITES | FUSE_MAX_PAGES, 12);
  body.writeUInt16LE(64, 16); // requests in the background
  body.writeUInt16LE(48, 18);
  body.writeUInt32LE(WRITE_BYTES_MAX, 20);
  body.writeUInt32LE(1, 24); // granularity of times
  body.writeUInt16LE(WRITE_BYTES_MAX / 4096, 28);
  return body;
}

function serve(message) {
  const opcode = message.readUInt32LE(4);
  const unique = message.readBigUInt64LE(8);
  const node = Number(message.readBigUInt64LE(16));
  const body = message.subarray(IN_HEADER_BYTES);
  switch (opcode) {
    case INIT:
      return answer(unique, initAnswer());
    case LOOKUP: {
      const found = NODES[body.toString('latin1', 0, body.indexOf(0))];
      return found === undefined ? answer(unique, NOTHING, ENOENT) : answer(unique, entryAnswer(found));
    }
    case GETATTR:
    case SETATTR:
      return answer(unique, attributeAnswer(node));
    case OPEN: {
      const opened = Buffer.alloc(16);
      opened.writeUInt32LE(FOPEN_DIRECT_IO, 8);
      return answer(unique, opened);
    }
    case READ: {
      const offset = Number(body.readBigUInt64LE(8));
      return answer(unique, disk.subarray(offset, Math.min(size, offset + body.readUInt32LE(16))));
    }
    case WRITE: {
      const offset = Number(body.readBigUInt64LE(8));
      const bytes = body.subarray(40, 40 + body.readUInt32LE(16));
      bytes.copy(disk, offset);
      record(RECORD_WRITE, offset, bytes);
      const written = Buffer.alloc(8);
      written.writeUInt32LE(bytes.length, 0);
      return answer(unique, written);
    }
    case FSYNC:
      record(RECORD_FLUSH, 0, NOTHING);
      return answer(unique, NOTHING);
    case STATFS:
      return answer(unique, Buffer.alloc(80));
    case FLUSH:
    case RELEASE:
    case ACCESS:
      return answer(unique, NOTHING);
    case FORGET:
    case BATCH_FORGET:
    case INTERRUPT:
      return undefined;
    case DESTROY:
      answer(unique, NOTHING);
      return undefined;
    default:
      return answer(unique, NOTHING, ENOSYS); // discards among them: the loop device offers none then
  }
}

let mounted = false;
const incoming = Buffer.alloc(WRITE_BYTES_MAX + 65_536);

function next() {
  read(fuse, incoming, 0, incoming.length, null, (error, length) => {
    if (error !== null) {
      if (error.code === 'EPERM' && !mounted) return setTimeout(next, 1);
      if (['ENOENT', 'EINTR', 'EAGAIN'].includes(error.code)) return next(); // the request was taken back
      closeSync(recording);
      process.exit(error.code === 'ENODEV' ? 0 : 1); // ENODEV: unmounted
    }
    try {
      serve(incoming.subarray(0, length));
    } catch (failure) {
      if (failure.code !== 'ENOENT') throw failure; // whoever asked is gone
    }
    next();
  });
}

// mount(8) hands its descriptor 3 to the kernel, which serves the file system by it from then on.
const options = 'fd=3,rootmode=40000,user_id=0,group_id=0';
const mount = spawn('mount', ['-i', '-t', 'fuse', '-o', options, 'penstock-recording-disk', mountPoint], {
  stdio: ['ignore', 'inherit', 'inherit', fuse],
});
mount.on('exit', (code) => {
  if (code !== 0) process.exit(1);
  mounted = true;
  process.send?.('mounted');
  process.channel?.unref();
});
next();
