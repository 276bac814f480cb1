/**
 * Reading back: a file that is right compares equal, and of one that is wrong the first byte and the reason are named.
 */
import { expect, test } from '@jest/globals';
import type { PatternName } from '@penstock/contract';
import * as fc from 'fast-check';
import { findMismatch, readSource } from './mismatch.ts';
import { createPatternSource } from './patterns/pattern.ts';
import type { Source } from './source.ts';
import { readStamp, STAMP_BLOCK_BYTES } from './patterns/stamp.ts';

const SEED = 20_110_608;
const PATTERNS: PatternName[] = ['zero', 'byte', 'counter', 'text', 'stamp', 'random'];

test(`finds the first byte that was changed, and nothing if none was (seed ${SEED})`, () => {
  const range = fc.record({
    position: fc.oneof(fc.nat(2000), fc.constant(2 ** 40 + 1)),
    length: fc.oneof(fc.nat(3000), fc.constantFrom(262_143, 262_144, 262_145, 600_000)),
    changes: fc.array(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), { maxLength: 3 }),
  });
  fc.assert(
    fc.property(fc.constantFrom(...PATTERNS), fc.nat(1000), range, (pattern, seed, { position, length, changes }) => {
      const source = createPatternSource(pattern, seed);
      const bytes = readSource(source, position, length);
      const changed = [...new Set(changes.map((place) => Math.floor(place * length)))].toSorted((a, b) => a - b);
      if (length > 0) for (const index of changed) bytes[index] = (bytes[index] ?? 0) ^ 0x10;
      const [first] = length > 0 ? changed : [];
      const mismatch = findMismatch(source, pattern, bytes, position);
      if (first === undefined) {
        expect(mismatch).toBeNull();
      } else {
        const found = bytes[first] ?? 0;
        expect(mismatch).toMatchObject({ position: position + first, expected: found ^ 0x10, found });
      }
    }),
    { seed: SEED, numRuns: 200 },
  );
});

/** Blocks 0 to 7 of a stamped file, and the source to compare them with. */
function stamped(seed = 7): { source: Source; bytes: Uint8Array; block: (index: number) => Uint8Array } {
  const source = createPatternSource('stamp', seed);
  const bytes = readSource(source, 0, 8 * STAMP_BLOCK_BYTES);
  return {
    source,
    bytes,
    block: (index) => bytes.subarray(index * STAMP_BLOCK_BYTES, (index + 1) * STAMP_BLOCK_BYTES),
  };
}

test('a stamp read back is whole, and carries the place where it belongs', () => {
  const offset = 2 ** 40 + 512;
  expect(readStamp(readSource(createPatternSource('stamp', 0xffff_ffff), offset, 512))).toEqual({
    offset,
    seed: 0xffff_ffff,
    ok: true,
    torn: false,
  });
});

test('a misplaced block is named with its own offset', () => {
  const { source, bytes, block } = stamped();
  bytes.set(block(5), 2 * STAMP_BLOCK_BYTES);
  expect(findMismatch(source, 'stamp', bytes, 0)).toMatchObject({
    position: 2 * 512 + 9, // the offset's second byte: 2560 is 0x0a00, 1024 is 0x0400
    expected: 4,
    found: 10,
    note: 'block of offset 2560, seed 7: misplaced',
  });
});

test('swapped blocks are both found', () => {
  const { source, bytes, block } = stamped();
  const third = block(3).slice();
  bytes.set(block(4), 3 * STAMP_BLOCK_BYTES);
  bytes.set(third, 4 * STAMP_BLOCK_BYTES);
  expect(findMismatch(source, 'stamp', bytes, 0)?.note).toBe('block of offset 2048, seed 7: misplaced');
  expect(findMismatch(source, 'stamp', block(4), 4 * STAMP_BLOCK_BYTES)?.note).toBe(
    'block of offset 1536, seed 7: misplaced',
  );
});

test(`a block torn at any byte is found (seed ${SEED})`, () => {
  fc.assert(
    fc.property(fc.integer({ min: 24, max: 511 }), fc.nat(7), fc.nat(7), (cut, index, other) => {
      fc.pre(index !== other);
      const { source, bytes, block } = stamped();
      // The start is this block's, the rest what stood there before: another block of an earlier file.
      const before = readSource(createPatternSource('stamp', 9), other * STAMP_BLOCK_BYTES, STAMP_BLOCK_BYTES);
      block(index).set(before.subarray(cut), cut);
      const stamp = readStamp(block(index));
      expect(stamp).toMatchObject({ offset: index * 512, seed: 7, ok: false, torn: true });
      expect(findMismatch(source, 'stamp', bytes, 0)).toMatchObject({
        note: `torn: head and tail differ (head: block of offset ${index * 512}, seed 7)`,
      });
    }),
    { seed: SEED, numRuns: 500 },
  );
});

test('a block torn within one file, where only the offsets differ, is found', () => {
  const { source, bytes, block } = stamped();
  block(1).set(block(6).subarray(256), 256);
  expect(findMismatch(source, 'stamp', bytes, 0)?.note).toMatch(/^torn: /);
});

test('the blocks of another seed are named with that seed', () => {
  const { source } = stamped();
  expect(findMismatch(source, 'stamp', stamped(8).bytes, 0)).toMatchObject({
    position: 16,
    expected: 7,
    found: 8,
    note: 'block of offset 0, seed 8: of another file',
  });
});

test('a hole, foreign bytes, a damaged body and a damaged head are distinguished', () => {
  const { source, bytes, block } = stamped();
  const note = (): string | undefined => findMismatch(source, 'stamp', bytes, 0)?.note;
  block(7).fill(0);
  expect(note()).toBe('zeros: a hole, or never written');
  block(6).fill(0x55);
  expect(note()).toBe('no stamp');
  block(5)[100] = (block(5)[100] ?? 0) ^ 1;
  expect(note()).toBe('damaged: block of offset 2560, seed 7');
  block(4)[9] = 0xaa; // the offset in the head: its check no longer fits
  expect(readStamp(block(4))).toMatchObject({ ok: false, torn: false });
  expect(note()).toMatch(/^damaged: /);
});

test('a block of which only a part was compared is not judged', () => {
  const { source, bytes } = stamped();
  bytes[600] = (bytes[600] ?? 0) ^ 1;
  expect(findMismatch(source, 'stamp', bytes.subarray(520, 1000), 520)).toEqual({
    position: 600,
    expected: expect.any(Number),
    found: bytes[600],
  });
});

test(`any change to a stamped block makes it no longer whole (seed ${SEED})`, () => {
  fc.assert(
    fc.property(fc.nat(511), fc.integer({ min: 1, max: 255 }), fc.nat(0xffff_ffff), (index, flip, seed) => {
      const block = readSource(createPatternSource('stamp', seed), 2 ** 33, STAMP_BLOCK_BYTES);
      block[index] = (block[index] ?? 0) ^ flip;
      expect(readStamp(block)?.ok ?? false).toBe(false);
    }),
    { seed: SEED, numRuns: 2000 },
  );
});

test('fewer than 512 bytes are no block', () => {
  expect(readStamp(stamped().bytes.subarray(0, 511))).toBeNull();
});

test('a source that only fills prepared rows can be read and compared too', () => {
  const calls: string[] = [];
  const double: Source = {
    constant: true,
    prepareRow: (bytes, rowStart, rowBytes) => {
      calls.push('prepareRow');
      bytes.fill(3, rowStart, rowStart + rowBytes);
    },
    fill: () => {
      calls.push('fill');
    },
  };
  expect([...readSource(double, 5, 3)]).toEqual([3, 3, 3]);
  expect(findMismatch(double, 'byte', Uint8Array.of(3, 3, 4), 10)).toEqual({ position: 12, expected: 3, found: 4 });
  expect(calls).toEqual(['prepareRow', 'fill', 'prepareRow', 'fill']);
});
