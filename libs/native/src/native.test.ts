import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { expect, test } from '@jest/globals';
import * as native from './native.ts';

const { EBADF, EINVAL, ENOENT, ENXIO } = constants.errno;
const SEEK_SET = 0;
const thisFile = fileURLToPath(import.meta.url);

test('a failed call returns -errno, whichever way the C function reports it', () => {
  expect(native.close(-1)).toBe(-EBADF);
  expect(native.openat(native.AT_FDCWD, '/does/not/exist', native.O_RDONLY, 0)).toBe(-ENOENT);
  expect(native.openat2(native.AT_FDCWD, '/does/not/exist', native.O_RDONLY, 0, 0)).toBe(-ENOENT);
  expect(native.pread(-1, 0, 0, 0)).toBe(-EBADF);
  expect(native.lseek(-1, 0, native.SEEK_DATA)).toBe(-EBADF);
  expect(native.cloneFileRange(-1, -1, 0, 0)).toBe(-EBADF);
  expect(native.fstatfs(-1, new Uint8Array(120))).toBe(-EBADF);
  expect(native.statx(native.AT_FDCWD, '/does/not/exist', 0, 0, new Uint8Array(native.STATX_BYTES))).toBe(-ENOENT);
});

test('raw system calls and libaio report a bad context alike', () => {
  const ports = [native.syscallAio(), native.loadLibaio()].filter((port) => port !== null);
  for (const port of ports) {
    expect(port.setup(0, new BigUint64Array(1))).toBe(-EINVAL);
    expect(port.submit(0, 1, new Uint32Array(new ArrayBuffer(8)))).toBe(-EINVAL);
    expect(port.destroy(0)).toBe(-EINVAL);
  }
});

test('a libaio that is not there is null, and so the next choice is taken', () => {
  expect(native.loadLibaio('/does/not/exist/libaio.so.1')).toBeNull();
  expect(native.loadLibaio(thisFile)).toBeNull();
});

test('opens and reads by address', () => {
  const fd = native.openat(native.AT_FDCWD, thisFile, native.O_RDONLY, 0);
  const buffer = new Uint8Array(new ArrayBuffer(8));
  expect(native.pread(fd, native.addressOf(buffer), 8, 0)).toBe(8);
  expect(Buffer.from(buffer).toString()).toBe('import {');
  closeSync(fd);
});

test('finds data and holes, beyond 2^32 too', () => {
  const fd = native.openat(native.AT_FDCWD, thisFile, native.O_RDONLY, 0);
  const { size } = fstatSync(fd);
  expect(native.lseek(fd, 1, native.SEEK_DATA)).toBe(1);
  expect(native.lseek(fd, 1, native.SEEK_HOLE)).toBe(size);
  expect(native.lseek(fd, size, native.SEEK_DATA)).toBe(-ENXIO);
  expect(native.lseek(fd, 2 ** 40 + 1, SEEK_SET)).toBe(2 ** 40 + 1);
  closeSync(fd);
});

test('a lock is refused to a second open of the file, and goes with the first', () => {
  const [first, second] = [openSync(thisFile, 'r+'), openSync(thisFile, 'r+')];
  expect(native.lockFile(first)).toBe(0);
  expect(native.lockFile(second)).toBe(-constants.errno.EAGAIN);
  closeSync(first);
  expect(native.lockFile(second)).toBe(0);
  closeSync(second);
});

test('dropping the page cache of a descriptor that is none returns its errno', () => {
  const fd = openSync(thisFile, 'r');
  expect(native.dropPageCache(fd)).toBe(0);
  closeSync(fd);
  expect(native.dropPageCache(-1)).toBe(-constants.errno.EBADF);
});

test('counts the pages that are cached, and reads those without waiting', () => {
  const fd = openSync(thisFile, 'r');
  const buffer = new Uint8Array(new ArrayBuffer(8));
  readSync(fd, buffer, 0, 8, 0); // from now on it is cached
  const pages = native.cachedPages(fd, 0, 8);
  if (pages >= 0) expect(pages).toBe(1); // this kernel has the call, and the file is this user's
  buffer.fill(0);
  expect(native.preadNowait(fd, native.addressOf(buffer), 8, 0)).toBe(8);
  expect(Buffer.from(buffer).toString()).toBe('import {');
  closeSync(fd);
  expect(native.cachedPages(-1, 0, 8)).toBeLessThan(0);
  expect(native.preadNowait(-1, native.addressOf(buffer), 8, 0)).toBe(-EBADF);
});

test('shared memory has one address in every thread', async () => {
  const shared = new SharedArrayBuffer(64);
  const module = new URL('../dist/native.js', import.meta.url).href;
  const source = `import { parentPort, workerData } from 'node:worker_threads';
    import { addressOf } from ${JSON.stringify(module)};
    parentPort.postMessage(addressOf(new Uint8Array(workerData, 8)));`;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`), { workerData: shared });
  const address = await new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  expect(address).toBe(native.addressOf(new Uint8Array(shared)) + 8);
  await worker.terminate();
});
