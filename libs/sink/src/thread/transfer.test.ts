import { expect, test } from '@jest/globals';
import { READ_ROW, STALLS_MAX, SlotTable, WRITE_ROW } from './transfer.ts';

const ALIGNMENT = { offset: 512, memory: 4096 };

function begun(purpose: number, length: number): SlotTable {
  const slots = new SlotTable(4);
  slots.carry(2, 7, 65_536);
  slots.begin(2, purpose, 1_048_576, 73_728, length);
  return slots;
}

test('a short write goes on at the last offset and address that direct I/O takes', () => {
  const slots = begun(WRITE_ROW, 32_768);
  expect(slots.isWhole(2, 32_767)).toBe(false);
  expect(slots.advance(2, 10_000, ALIGNMENT)).toBe(true);
  expect(slots.rest(2)).toBe(32_768 - 8192);
  expect(slots.restOffset(2)).toBe(73_728 + 8192);
  expect(slots.isWhole(2, 32_768 - 8192)).toBe(true);
});

test('a transfer is stuck once it moved no whole block so many times in a row', () => {
  const slots = begun(READ_ROW, 32_768);
  for (let count = 1; count < STALLS_MAX; count += 1) expect(slots.advance(2, 511, ALIGNMENT)).toBe(true);
  expect(slots.advance(2, 4096, ALIGNMENT)).toBe(true); // a block: it counts anew
  for (let count = 1; count < STALLS_MAX; count += 1) expect(slots.advance(2, 0, ALIGNMENT)).toBe(true);
  expect(slots.advance(2, 0, ALIGNMENT)).toBe(false);
  expect(slots.rest(2)).toBe(32_768 - 4096);
});

test('a failure names the range that was not moved', () => {
  const slots = begun(WRITE_ROW, 32_768);
  slots.advance(2, 4096, ALIGNMENT);
  const failure = { syscall: 'pwrite', errno: -5, path: '/data/a', offset: 73_728 + 4096, length: 32_768 - 4096 };
  expect(slots.failure(2, 'pwrite', -5, '/data/a')).toEqual(failure);
});

test('EINVAL is a refusal of direct I/O only for what was submitted so, and kept to the alignment', () => {
  const slots = begun(WRITE_ROW, 32_768);
  expect(slots.isRefusedDirect(2, -22, ALIGNMENT)).toBe(false);
  slots.direct[2] = 1;
  expect(slots.isRefusedDirect(2, -22, ALIGNMENT)).toBe(true);
  expect(slots.isRefusedDirect(2, -5, ALIGNMENT)).toBe(false);
  slots.begin(2, WRITE_ROW, 1_048_576 + 512, 73_728, 32_768);
  expect(slots.isRefusedDirect(2, -22, ALIGNMENT)).toBe(false);
});
