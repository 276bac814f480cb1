/** What the bytes of a pattern have to be, from its definition alone: no code that writes them is used here. */
import { createHash } from 'node:crypto';
import type { PatternName } from '@penstock/contract';
import { contentPieces } from '../soak/content.ts';

/** The first `size` bytes of a pattern. */
export function patternBytes(pattern: PatternName, seed: number, size: number): Buffer {
  switch (pattern) {
    case 'zero':
      return Buffer.alloc(size);
    case 'byte':
      return Buffer.alloc(size, seed & 0xff);
    case 'counter':
      return blocks(4, size, (block, index) => block.writeUInt32LE((seed + index) % 2 ** 32));
    case 'text':
      return blocks(64, size, (block, index) => {
        const [line, from] = [String(index).padStart(16, '0'), String(seed).padStart(10, '0')];
        block.write(`penstock line = ${line} seed = ${from} ............\n`);
      });
    case 'stamp':
      return blocks(512, size, (block, index) => writeStamp(block, index * 512, seed));
    case 'random':
      return randomBytes(seed, size);
    default:
      throw new Error(`no definition of ${String(pattern)}`);
  }
}

/** Bytes that nothing else would write: `size` of the pattern "random" of this seed. */
export const randomBytes = (seed: number, size: number): Buffer =>
  Buffer.concat([...contentPieces(seed, 0, size)], size);

function blocks(blockBytes: number, size: number, write: (block: Buffer, index: number) => void): Buffer {
  const bytes = Buffer.alloc(Math.ceil(size / blockBytes) * blockBytes);
  for (let index = 0; index * blockBytes < size; index += 1) {
    write(bytes.subarray(index * blockBytes, (index + 1) * blockBytes), index);
  }
  return bytes.subarray(0, size);
}

/** 'PENSTOCK', offset u64, seed u32, check u32, 119 words of checks, again offset u64 and check u32. */
function writeStamp(block: Buffer, offset: number, seed: number): void {
  const check = (low: number, high: number): number => {
    let hash = Math.imul(seed ^ 0x9e37_79b9 ^ low, 0x85eb_ca6b);
    hash = Math.imul(hash ^ (hash >>> 13) ^ high, 0xc2b2_ae35);
    hash = Math.imul(hash ^ (hash >>> 16), 0x27d4_eb2f);
    return (hash ^ (hash >>> 15)) >>> 0;
  };
  const own = check(offset % 2 ** 32, Math.floor(offset / 2 ** 32));
  block.write('PENSTOCK', 0, 'latin1');
  block.writeBigUInt64LE(BigInt(offset), 8);
  block.writeUInt32LE(seed, 16);
  block.writeUInt32LE(own, 20);
  for (let word = 6; word < 125; word += 1) block.writeUInt32LE(check(word, ~word), word * 4);
  block.writeBigUInt64LE(BigInt(offset), 500);
  block.writeUInt32LE(own, 508);
}

/** crc32c from its polynomial, or Node's sha256, in hexadecimal digits. */
export function checksumOf(algorithm: 'crc32c' | 'sha256', bytes: Uint8Array): string {
  if (algorithm === 'sha256') return createHash('sha256').update(bytes).digest('hex');
  let register = 0xffff_ffff;
  for (const byte of bytes) register = (register >>> 8) ^ crcOfByte[(register ^ byte) & 0xff]!;
  return (~register >>> 0).toString(16).padStart(8, '0');
}

/** What each byte does to the register, bit by bit. */
const crcOfByte = Int32Array.from({ length: 256 }, (_, byte) => {
  let register = byte;
  for (let bit = 0; bit < 8; bit += 1) {
    register = (register & 1) === 1 ? (register >>> 1) ^ 0x82f6_3b78 : register >>> 1;
  }
  return register;
});
