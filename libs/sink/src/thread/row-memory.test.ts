import { expect, test } from '@jest/globals';
import { Arena, createArenaMemory } from '@penstock/matrix';
import { RowMemory } from './row-memory.ts';

const MIB = 1_048_576;

test('small files get rows while large writes hold and want all that is theirs, and the large ones wait in line', () => {
  const arena = new Arena(createArenaMemory(64 * MIB));
  const memory = new RowMemory(arena);
  expect(memory.bytesMax).toBe(48 * MIB);
  const [first, second, third, small] = [{}, {}, {}, {}];
  memory.join(first, 48 * MIB);
  const held = memory.take(first, 48 * MIB)!;
  expect(held.sizeBytes).toBe(48 * MIB);
  memory.join(second, MIB);
  memory.join(third, MIB);
  expect(memory.take(second, MIB)).toBeNull(); // the strip is not theirs
  memory.join(small, 4096);
  const rows = memory.take(small, 4096)!;
  expect(rows).toEqual({ start: 64 * MIB - 4096, sizeBytes: 4096 });
  memory.release(held);
  expect(memory.take(third, MIB)).toBeNull(); // not its turn
  const next = memory.take(second, MIB)!;
  for (const extent of [rows, next, memory.take(third, MIB)!]) memory.release(extent);
  expect(arena.freeBytes).toBe(arena.sizeBytes);
});

test('small files beyond their strip take nothing that a large write waits for', () => {
  const memory = new RowMemory(new Arena(createArenaMemory(64 * MIB)));
  const take = (): unknown => {
    const small = {};
    memory.join(small, MIB / 2);
    const rows = memory.take(small, MIB / 2);
    if (rows === null) memory.leave(small);
    return rows;
  };
  for (let count = 0; count < 32; count += 1) expect(take()).not.toBeNull();
  expect(take()).not.toBeNull(); // nobody large wants it
  const large = {};
  memory.join(large, 48 * MIB);
  expect(memory.take(large, 48 * MIB)).toBeNull();
  expect(take()).toBeNull();
  memory.leave(large);
  expect(take()).not.toBeNull();
});

test('a small arena has no strip, and one line for all', () => {
  const memory = new RowMemory(new Arena(createArenaMemory(2 * MIB)));
  expect(memory.bytesMax).toBe(2 * MIB);
  const [large, small] = [{}, {}];
  memory.join(large, 2 * MIB);
  memory.join(small, 4096);
  expect(memory.take(small, 4096)).toBeNull();
  expect(memory.take(large, 2 * MIB)).toEqual({ start: 0, sizeBytes: 2 * MIB });
});
