/** crc32c: known answers, and what its algebra promises. */
import { createHash } from 'node:crypto';
import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { extendCrc32c, extendCrc32cByZeros, joinCrc32c, printCrc32c } from './crc32c.ts';
import { FileSums } from './file-sums.ts';

const SEED = 20_261_123;

/** One bit at a time, from the definition: an own way to the same sums. */
function slowCrc32c(bytes: Uint8Array): number {
  let register = 0xffff_ffff;
  for (const byte of bytes) {
    register ^= byte;
    for (let bit = 0; bit < 8; bit += 1)
      register = (register & 1) === 1 ? (register >>> 1) ^ 0x82f6_3b78 : register >>> 1;
  }
  return ~register >>> 0;
}

// RFC 3720, B.4, its bytes in the order in which they are printed.
test.each([
  ['123456789', Buffer.from('123456789'), 'e3069283'],
  ['nothing', Buffer.alloc(0), '00000000'],
  ['32 zeros', Buffer.alloc(32), '8a9136aa'],
  ['32 bytes of ones', Buffer.alloc(32, 0xff), '62a8ab43'],
  ['0 to 31', Buffer.from(Array.from({ length: 32 }, (_, index) => index)), '46dd794e'],
])('crc32c of %s', (_, bytes, sum) => {
  expect(printCrc32c(extendCrc32c(0, bytes))).toBe(sum);
});

test('bytes in shared memory, at any place, have the sum of their copy', () => {
  const shared = new Uint8Array(new SharedArrayBuffer(5000));
  shared.forEach((_, index) => (shared[index] = (index * 131) >>> 3));
  fc.assert(
    fc.property(fc.nat(4999), fc.nat(4999), (one, other) => {
      const view = shared.subarray(Math.min(one, other), Math.max(one, other));
      expect(extendCrc32c(0, view)).toBe(slowCrc32c(view));
    }),
    { seed: SEED },
  );
});

test('the sum of the pieces is the sum of the whole, whichever way it is put together', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.uint8Array({ maxLength: 300 }), (first, second) => {
      const whole = slowCrc32c(Buffer.concat([first, second]));
      const sum = extendCrc32c(0, first);
      expect(extendCrc32c(sum, second)).toBe(whole);
      expect(joinCrc32c(sum, extendCrc32c(0, second), second.length)).toBe(whole);
    }),
    { seed: SEED },
  );
});

test('zeros that are not looked at count as those that are', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), fc.nat(100_000), (bytes, count) => {
      const sum = extendCrc32c(0, bytes);
      expect(extendCrc32cByZeros(sum, count)).toBe(extendCrc32c(sum, Buffer.alloc(count)));
    }),
    { seed: SEED },
  );
});

test('a hole of 2^52 bytes is summed up at once, the same in one piece as in two', () => {
  const [all, part] = [2 ** 52, 2 ** 51 + 12_345];
  const sum = extendCrc32c(0, Buffer.from('before'));
  expect(extendCrc32cByZeros(extendCrc32cByZeros(sum, part), all - part)).toBe(extendCrc32cByZeros(sum, all));
});

test('a file that is summed up by chunks and holes has the sum of its bytes, and each chunk its own', () => {
  const piece = fc.oneof(
    fc.record({ bytes: fc.uint8Array({ minLength: 1, maxLength: 5000 }) }),
    fc.record({ zeros: fc.integer({ min: 1, max: 200_000 }) }),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), fc.boolean(), (pieces, keepsChunks) => {
      const sha256 = new FileSums('sha256', keepsChunks);
      const crc32c = new FileSums('crc32c', keepsChunks);
      const hash = createHash('sha256');
      let whole = 0;
      for (const one of pieces) {
        const bytes = 'bytes' in one ? one.bytes : Buffer.alloc(one.zeros);
        hash.update(bytes);
        whole = extendCrc32c(whole, bytes);
        for (const sums of [sha256, crc32c]) {
          if ('bytes' in one) sums.add(bytes);
          else sums.addZeros(one.zeros);
        }
      }
      const chunks = pieces.flatMap((one) => ('bytes' in one ? [extendCrc32c(0, one.bytes)] : []));
      if (keepsChunks) expect(chunks.map((_, index) => sha256.chunk(index))).toEqual(chunks);
      expect(sha256.finish()).toBe(hash.digest('hex'));
      expect(crc32c.finish()).toBe(printCrc32c(whole));
    }),
    { seed: SEED, numRuns: 60 },
  );
});

test('more chunks than were reckoned with are all kept', () => {
  const sums = new FileSums(null, true);
  const bytes = new Uint8Array(4);
  for (let index = 0; index < 5000; index += 1) {
    new DataView(bytes.buffer).setUint32(0, index);
    sums.add(bytes);
  }
  new DataView(bytes.buffer).setUint32(0, 3777);
  expect(sums.chunk(3777)).toBe(extendCrc32c(0, bytes));
  expect(() => sums.chunk(5000)).toThrow('no chunk 5000');
});
