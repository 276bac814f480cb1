import { expect, test } from '@jest/globals';
import type { Extent } from '@penstock/contract';
import * as fc from 'fast-check';
import { ExtentsSource } from './extents.ts';
import { readSource } from './mismatch.ts';
import { createPatternSource } from './patterns/pattern.ts';

const SEED = 20_110_608;

/** The whole file, an extent after the other. */
function fileOf(extents: readonly Extent[], size: number): Uint8Array {
  const file = new Uint8Array(size);
  for (const { offset, size: length, source } of extents) {
    file.set(readSource(createPatternSource(source.pattern, source.seed), 0, length), offset);
  }
  return file;
}

const extentsOf = (lengths: readonly [gap: number, size: number, seed: number][]): Extent[] => {
  let end = 0;
  return lengths.map(([gap, size, seed]) => {
    const pattern = (['byte', 'counter', 'text', 'stamp', 'random'] as const)[seed % 5]!;
    const extent: Extent = { offset: end + gap, size, source: { kind: 'pattern', pattern, seed } };
    end = extent.offset + size;
    return extent;
  });
};

test(`rows of any length, in any order, make the file that the extents describe (seed ${SEED})`, () => {
  const lengths = fc.array(fc.tuple(fc.nat(700), fc.integer({ min: 1, max: 1500 }), fc.nat(1000)), {
    minLength: 1,
    maxLength: 12,
  });
  fc.assert(
    fc.property(lengths, fc.nat(2000), fc.integer({ min: 1, max: 5000 }), (described, behind, rowBytes) => {
      const extents = extentsOf(described);
      const last = extents.at(-1)!;
      const size = last.offset + last.size + behind;
      const source = new ExtentsSource(extents.toReversed());
      const file = new Uint8Array(size).fill(0xee);
      const row = new Uint8Array(rowBytes);
      const rowCount = Math.ceil(size / rowBytes);
      for (let index = rowCount - 1; index >= 0; index -= 1) {
        const position = index * rowBytes;
        const length = Math.min(rowBytes, size - position);
        row.fill(0xee); // what the row held before must not show
        source.write(row, 0, length, position);
        file.set(row.subarray(0, length), position);
      }
      expect(Buffer.compare(file, fileOf(extents, size))).toBe(0);
    }),
    { seed: SEED, numRuns: 300 },
  );
});

test('positions beyond 2^32 meet their extents', () => {
  const offset = 2 ** 40 + 3;
  const extent: Extent = { offset, size: 100, source: { kind: 'pattern', pattern: 'counter', seed: 9 } };
  const bytes = readSource(new ExtentsSource([extent]), offset - 4, 200);
  expect(Buffer.from(bytes.subarray(0, 4))).toEqual(Buffer.alloc(4));
  expect(bytes.subarray(4, 104)).toEqual(readSource(createPatternSource('counter', 9), 0, 100));
  expect(Buffer.from(bytes.subarray(104))).toEqual(Buffer.alloc(96));
});
