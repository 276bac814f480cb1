/**
 * A file system of a few files, served over /dev/fuse by this process: what the disks of the tests lie on, beneath a loop
 * device. Whoever imports this must be a process of its own, for the kernel waits for its answers: it must never wait
 * for the file system on that disk.
 *
 * The loop device turns a file system's flush (REQ_OP_FLUSH, and FUA, which it does not offer) into an fsync of its
 * backing file, and that arrives here as FSYNC.
 */
import { spawn } from 'node:child_process';
import { openSync, read, writeSync } from 'node:fs';

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
const NOTHING = Buffer.alloc(0);

/**
 * Serves `files` at `mountPoint`, each by its name: `size()` in bytes; `read(offset, length)` with the bytes or an errno;
 * `write(offset, bytes)` and `flush()` with an errno, 0 for none. Read, write and flush may answer by a promise; `bytes`
 * stand only until write() has returned. `onEnd` is called with the exit code once the file system is unmounted.
 */
export function serveFuse(mountPoint, name, files, onEnd) {
  const fileNames = Object.keys(files);
  const fileOf = (node) => files[fileNames[node - ROOT - 1]];
  const fuse = openSync('/dev/fuse', 'r+');

  function answer(unique, body, error = 0) {
    const message = Buffer.alloc(OUT_HEADER_BYTES + body.length);
    message.writeUInt32LE(message.length, 0);
    message.writeInt32LE(-error, 4);
    message.writeBigUInt64LE(unique, 8);
    body.copy(message, OUT_HEADER_BYTES);
    try {
      writeSync(fuse, message);
    } catch (failure) {
      if (!['ENOENT', 'ENODEV'].includes(failure.code)) throw failure; // whoever asked is gone
    }
  }

  /** `outcome`: bytes, an errno, or a promise of either. */
  function answerWith(unique, outcome, bodyOf) {
    if (outcome instanceof Promise) void outcome.then((settled) => answerWith(unique, settled, bodyOf));
    else if (typeof outcome === 'number' && outcome !== 0) answer(unique, NOTHING, outcome);
    else answer(unique, bodyOf(outcome));
  }

  function attributesOf(node) {
    const attributes = Buffer.alloc(88);
    const length = node === ROOT ? 0 : fileOf(node).size();
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

  function openAnswer() {
    const body = Buffer.alloc(16);
    body.writeUInt32LE(FOPEN_DIRECT_IO, 8);
    return body;
  }

  function writtenAnswer(length) {
    const body = Buffer.alloc(8);
    body.writeUInt32LE(length, 0);
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
        const index = fileNames.indexOf(body.toString('latin1', 0, body.indexOf(0)));
        return index === -1 ? answer(unique, NOTHING, ENOENT) : answer(unique, entryAnswer(index + ROOT + 1));
      }
      case GETATTR:
      case SETATTR:
        return answer(unique, attributeAnswer(node));
      case OPEN:
        return answer(unique, openAnswer());
      case READ: {
        const outcome = fileOf(node).read(Number(body.readBigUInt64LE(8)), body.readUInt32LE(16));
        return answerWith(unique, outcome, (bytes) => bytes);
      }
      case WRITE: {
        const bytes = body.subarray(40, 40 + body.readUInt32LE(16));
        const { length } = bytes;
        return answerWith(unique, fileOf(node).write(Number(body.readBigUInt64LE(8)), bytes), () =>
          writtenAnswer(length),
        );
      }
      case FSYNC:
        return answerWith(unique, fileOf(node).flush(), () => NOTHING);
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
        return answer(unique, NOTHING);
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
        return onEnd(error.code === 'ENODEV' ? 0 : 1); // ENODEV: unmounted
      }
      serve(incoming.subarray(0, length));
      return next();
    });
  }

  // mount(8) hands its descriptor 3 to the kernel, which serves the file system by it from then on.
  const options = 'fd=3,rootmode=40000,user_id=0,group_id=0';
  const mount = spawn('mount', ['-i', '-t', 'fuse', '-o', options, name, mountPoint], {
    stdio: ['ignore', 'inherit', 'inherit', fuse],
  });
  mount.on('exit', (code) => {
    if (code !== 0) process.exit(1);
    mounted = true;
    process.send?.('mounted');
  });
  next();
}
