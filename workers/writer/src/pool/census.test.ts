import { expect, test } from '@jest/globals';
import { Control } from '@penstock/matrix';
import { Census, PoolSum } from './census.ts';

test('the rows that a thread died with count no more once it is gone, and what it has written still does', () => {
  const control = new Control(2, 4);
  const census = new Census(control);
  const index = control.claimThread(7);
  const tally = census.tallies.of(index);
  tally.addRowBytes(8192);
  tally.count(4096, 100);
  const sumOf = (): PoolSum => {
    const sum = new PoolSum();
    census.addTo(sum);
    return sum;
  };
  expect(sumOf().tally).toMatchObject({ rowBytes: 8192, bytes: 4096 });
  control.thread(index).release();
  expect(sumOf().tally).toMatchObject({ rowBytes: 0, bytes: 4096 });
});
