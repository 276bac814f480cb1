/**
 * Every pattern's bytes, against a reference that computes them one by one from the definition, however rows are cut.
 */
import { expect, test } from '@jest/globals';
import { createCipheriv, createHash } from 'node:crypto';
import type { PatternName } from '@penstock/contract';
import * as fc from 'fast-check';
import { readSource } from '../mismatch.ts';
import { createPatternSource } from './pattern.ts';
import type { Source } from '../source.ts';

const SEED = 20_110_608;
const PATTERNS: PatternName[] = ['zero', 'byte', 'counter', 'text', 'stamp', 'random'];

/** The block of a pattern that holds a position, from the definition alone, and where in it the position is. */
function referenceBlock(pattern: PatternName, seed: number, position: number): { block: Buffer; index: number } {
  const at = BigInt(position);
  switch (pattern) {
    case 'zero':
      return { block: Buffer.alloc(1), index: 0 };
    case 'byte':
      return { block: Buffer.of(seed & 0xff), index: 0 };
    case 'counter': {
      const block = Buffer.alloc(4);
      block.writeUInt32LE(Number((BigInt(seed) + at / 4n) % 2n ** 32n));
      return { block, index: Number(at % 4n) };
    }
    case 'text': {
      const number = String(at / 64n).padStart(16, '0');
      const line = `penstock line = ${number} seed = ${String(seed).padStart(10, '0')} ............\n`;
      return { block: Buffer.from(line), index: Number(at % 64n) };
    }
    case 'stamp':
      return { block: referenceStamp(at - (at % 512n), seed), index: Number(at % 512n) };
    case 'random': {
      const counter = Buffer.alloc(16);
      counter.writeBigUInt64BE(at / 16n, 8);
      const key = createHash('sha256').update(`penstock random seed ${seed}`).digest();
      const block = createCipheriv('aes-256-ecb', key, null).update(counter);
      return { block, index: Number(at % 16n) };
    }
    default:
      throw new Error(`no definition of ${String(pattern)}`);
  }
}

function referenceStamp(offset: bigint, seed: number): Buffer {
  const check = (low: number, high: number): number => {
    let hash = Math.imul(seed ^ 0x9e3779b9 ^ low, 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13) ^ high, 0xc2b2ae35);
    hash = Math.imul(hash ^ (hash >>> 16), 0x27d4eb2f);
    return (hash ^ (hash >>> 15)) >>> 0;
  };
  const block = Buffer.alloc(512);
  const own = check(Number(offset & 0xffffffffn), Number(offset >> 32n));
  block.write('PENSTOCK', 0, 'latin1');
  block.writeBigUInt64LE(offset, 8);
  block.writeUInt32LE(seed, 16);
  block.writeUInt32LE(own, 20);
  for (let word = 6; word < 125; word += 1) block.writeUInt32LE(check(word, ~word), word * 4);
  block.writeBigUInt64LE(offset, 500);
  block.writeUInt32LE(own, 508);
  return block;
}

function reference(pattern: PatternName, seed: number, position: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  let at = 0;
  while (at < length) {
    const { block, index } = referenceBlock(pattern, seed, position + at);
    at += block.copy(bytes, at, index);
  }
  return bytes;
}

const seeds = fc.oneof(fc.constantFrom(0, 1, 7, 255, 256, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff), fc.nat(0xffff_ffff));
const LENGTH_MAX = 6000;
/** Near what overflows: 2^31, 2^32, the counter's wrap at 2^34, a carry of the line number, the end of all positions. */
const positions = fc
  .tuple(
    fc.constantFrom(0, 2 ** 31, 2 ** 32, 2 ** 34, 64 * 10_000, 64 * 1e8, 64 * 1e12, 2 ** 53 - 1 - LENGTH_MAX),
    fc.oneof(fc.constantFrom(0, -512, -64, -1), fc.integer({ min: -LENGTH_MAX, max: 0 })),
  )
  .map(([near, before]) => Math.max(0, near + before));

/** What a fill leaves in its part of the row. */
function filled(source: Source, bytes: Uint8Array, rowStart: number, length: number, position: number): Buffer {
  source.fill(bytes, rowStart, length, position);
  return Buffer.from(bytes.slice(rowStart, rowStart + length));
}

const GUARD = 0xee;

test(`any split of a range into rows gives the bytes of the definition, and no byte beside them (seed ${SEED})`, () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...PATTERNS),
      seeds,
      positions,
      fc.record({
        /** The first byte of the matrix in its buffer: the arena's are multiples of 4096. */
        byteOffset: fc.constantFrom(0, 4096, 4, 1),
        rowBytes: fc.oneof(fc.constantFrom(512, 1000, 1024, 4096), fc.integer({ min: 1, max: 2000 })),
        /** Between rows. */
        gapBytes: fc.constantFrom(0, 4, 512, 3),
        rowCount: fc.integer({ min: 1, max: 4 }),
      }),
      // What each fill takes of its row, in thousandths: mostly all of it, as a writer does.
      fc.array(fc.oneof(fc.constant(1000), fc.integer({ min: 0, max: 1000 })), { minLength: 1, maxLength: 12 }),
      (pattern, seed, position, shape, parts) => {
        const rowStride = shape.rowBytes + shape.gapBytes;
        const buffer = new SharedArrayBuffer(shape.byteOffset + rowStride * shape.rowCount);
        const bytes = new Uint8Array(buffer, shape.byteOffset).fill(GUARD);
        const source = createPatternSource(pattern, seed);
        for (let row = 0; row < shape.rowCount; row += 1) source.prepareRow(bytes, row * rowStride, shape.rowBytes);
        const pieces: Buffer[] = [];
        let at = position;
        parts.forEach((part, index) => {
          const rowStart = (index % shape.rowCount) * rowStride;
          const length = Math.min(Math.floor((shape.rowBytes * part) / 1000), position + LENGTH_MAX - at);
          pieces.push(filled(source, bytes, rowStart, length, at));
          at += length;
        });
        const written = Buffer.concat(pieces);
        expect(written.compare(reference(pattern, seed, position, at - position))).toBe(0);
        expect(Buffer.from(readSource(source, position, at - position)).compare(written)).toBe(0);
        for (let row = 0; row < shape.rowCount; row += 1) {
          const gap = bytes.slice(row * rowStride + shape.rowBytes, (row + 1) * rowStride);
          expect(gap.every((byte) => byte === GUARD)).toBe(true);
        }
      },
    ),
    { seed: SEED, numRuns: 1500 },
  );
});

test(`rows in any order, at positions that jump, and never prepared, are right all the same (seed ${SEED})`, () => {
  const fill = fc.record({
    rowStart: fc.constantFrom(0, 1024, 2048, 4, 1100, 7),
    length: fc.oneof(fc.constant(1024), fc.integer({ min: 0, max: 1500 })),
    position: fc.oneof(
      fc.nat(20).map((block) => block * 512),
      positions,
    ),
    read: fc.boolean(),
  });
  fc.assert(
    fc.property(
      fc.constantFrom<PatternName>('counter', 'text', 'stamp', 'random'),
      seeds,
      fc.array(fill),
      (pattern, seed, fills) => {
        const bytes = new Uint8Array(new SharedArrayBuffer(4096));
        const source = createPatternSource(pattern, seed);
        for (const rowStart of [0, 1024, 2048]) source.prepareRow(bytes, rowStart, 1024);
        for (const { rowStart, length, position, read } of fills) {
          // Reading, as verifying does, must not disturb the rows.
          if (read) readSource(source, position + 1, 700);
          const found = filled(source, bytes, rowStart, length, position);
          expect(found.compare(reference(pattern, seed, position, length))).toBe(0);
        }
      },
    ),
    { seed: SEED, numRuns: 500 },
  );
});

test.each(PATTERNS.filter((pattern) => pattern !== 'zero' && pattern !== 'byte'))(
  '%s does not take the rows of one matrix for those of the next',
  (pattern) => {
    const source = createPatternSource(pattern, 7);
    const old = new Uint8Array(2048);
    source.prepareRow(old, 0, 1024);
    source.prepareRow(old, 1024, 1024);
    const next = new Uint8Array(2048);
    source.prepareRow(next, 0, 1024);
    for (const matrix of [next, old]) {
      const found = filled(source, matrix, 1024, 1024, 512);
      expect(found.compare(reference(pattern, 7, 512, 1024))).toBe(0);
    }
  },
);

test.each(PATTERNS)('%s moves to another matrix when its rows are prepared there', (pattern) => {
  const source = createPatternSource(pattern, 7);
  for (const bytes of [new Uint8Array(2048), new Uint8Array(2048), Buffer.alloc(2048)]) {
    source.prepareRow(bytes, 0, 2048);
    source.fill(bytes, 0, 2048, 1024);
    expect(Buffer.from(bytes).compare(reference(pattern, 7, 1024, 2048))).toBe(0);
  }
});

test.each<[PatternName, boolean]>([
  ['zero', true],
  ['byte', true],
  ['counter', false],
  ['text', false],
  ['stamp', false],
  ['random', false],
])('%s declares whether its bytes depend on the position', (pattern, constant) => {
  expect(createPatternSource(pattern, 1).constant).toBe(constant);
});

test('text is readable', () => {
  expect(Buffer.from(readSource(createPatternSource('text', 7), 64 * 42, 128)).toString()).toBe(
    'penstock line = 0000000000000042 seed = 0000000007 ............\n' +
      'penstock line = 0000000000000043 seed = 0000000007 ............\n',
  );
});

// Files written by one version are verified by the next: these never change. SHA-256 of the first 2^20 + 1 bytes,
// computed outside of this repository.
test.each<[PatternName, string]>([
  ['zero', '2cb74edba754a81d121c9db6833704a8e7d417e5b13d1a19f4a52f007d644264'],
  ['byte', 'd34ca1319dd00d103ae8cff499899d5942b22e9c22137baf801c8a63ac21218b'],
  ['counter', 'acb741a45360cc49923d63a3f38d5777348e7fb74b16d42dbb67676de523f6d4'],
  ['text', '8acae73bd82dce48c55840919240fb565a3e0cc9c78ea67b3996ea3821131f80'],
  ['stamp', '32394b669c379cabe2b52014f204d4d3ae33c56d4e8d4735e777c218e0801a7d'],
  ['random', '128eaf12331188f62cce27cdf18213ef44b6c8dd4bb1d190361efe1135c543cb'],
])('%s has the bytes it always had', (pattern, sha256) => {
  const bytes = readSource(createPatternSource(pattern, 7), 0, 1_048_577);
  expect(createHash('sha256').update(bytes).digest('hex')).toBe(sha256);
});

test.each([-1, 1.5, 2 ** 32, Number.NaN, Number.POSITIVE_INFINITY])('the seed %d is refused', (seed) => {
  expect(() => createPatternSource('zero', seed)).toThrow(/seed .+ is not accepted/);
});

test('an unknown pattern is refused', () => {
  expect(() => Reflect.apply(createPatternSource, undefined, ['noise', 0])).toThrow('the pattern noise is not known');
});
