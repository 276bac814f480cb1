import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { EVENT_WORDS, IOCB_WORDS, decodeEvents, loadIocb, storeIocb } from './abi.ts';

const safe = fc.maxSafeInteger();

test('stores an iocb where <linux/aio_abi.h> has its fields', () => {
  const iocbs = new Int32Array(2 * IOCB_WORDS);
  storeIocb(iocbs, 1, 1, 9, 0x7fff_1234_5678, 0x7fff_f000, 2 ** 40 + 4096);
  const bytes = new DataView(iocbs.buffer, 64);
  expect({
    data: bytes.getBigUint64(0, true),
    key: bytes.getUint32(8, true),
    rwFlags: bytes.getUint32(12, true),
    opcode: bytes.getUint16(16, true),
    reqprio: bytes.getInt16(18, true),
    fd: bytes.getUint32(20, true),
    buf: bytes.getBigUint64(24, true),
    nbytes: bytes.getBigUint64(32, true),
    offset: bytes.getBigInt64(40, true),
    reserved2: bytes.getBigUint64(48, true),
    flags: bytes.getUint32(56, true),
    resfd: bytes.getUint32(60, true),
  }).toEqual({
    data: 1n,
    key: 0,
    rwFlags: 0,
    opcode: 1,
    reqprio: 0,
    fd: 9,
    buf: 0x7fff_1234_5678n,
    nbytes: 0x7fff_f000n,
    offset: 2n ** 40n + 4096n,
    reserved2: 0n,
    flags: 0,
    resfd: 0,
  });
  expect(new Int32Array(iocbs.buffer, 0, IOCB_WORDS).every((word) => word === 0)).toBe(true);
});

test('any address, length and offset come back as they were stored (seed 5)', () => {
  const iocbs = new Int32Array(IOCB_WORDS);
  const into = { slot: -1, opcode: -1, fd: -1, address: -1, length: -1, offset: -1 };
  const address = fc.integer({ min: 0, max: 2 ** 47 - 1 });
  const length = fc.integer({ min: 0, max: 0x7fff_f000 });
  const property = fc.property(address, length, safe, (buffer, bytes, offset) => {
    storeIocb(iocbs, 0, 1, 7, buffer, bytes, offset);
    expect(loadIocb(iocbs, 0, into)).toEqual({ slot: 0, opcode: 1, fd: 7, address: buffer, length: bytes, offset });
  });
  fc.assert(property, { seed: 5 });
});

test('decodes bytes done and -errno behind what is there already', () => {
  const events = new Int32Array(2 * EVENT_WORDS);
  const bytes = new DataView(events.buffer);
  bytes.setBigUint64(0, 3n, true);
  bytes.setBigInt64(16, 0x7fff_f000n, true);
  bytes.setBigUint64(32, 0n, true);
  bytes.setBigInt64(48, -28n, true);
  const completed = Int32Array.of(2, 0, 0);
  const results = new Int32Array(4);
  decodeEvents(events, 2, completed, 1, results);
  expect([...completed]).toEqual([2, 3, 0]);
  expect([...results]).toEqual([-28, 0, 0, 0x7fff_f000]);
});

test('an event of no slot is an error, not a lost store', () => {
  const events = Int32Array.of(4, 0, 0, 0, 0, 0, 0, 0);
  expect(() => decodeEvents(events, 1, new Int32Array(4), 0, new Int32Array(4))).toThrow('no slot submitted');
});
