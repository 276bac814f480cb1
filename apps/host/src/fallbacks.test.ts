import { expect, test } from '@jest/globals';
import { FallbackLog } from './fallbacks.ts';

test('each reason is logged once for each root, and a write that goes the best way not at all', () => {
  const logged: string[] = [];
  const fallbacks = new FallbackLog((text) => logged.push(text));
  for (let times = 0; times < 3; times += 1) {
    fallbacks.note('a', { fallbackReason: 'no direct I/O' });
    fallbacks.note('b', { fallbackReason: 'no direct I/O' });
    fallbacks.note('b', {});
  }
  expect(logged).toEqual(['root a: no direct I/O', 'root b: no direct I/O']);
});
