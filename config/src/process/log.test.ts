import { expect, test } from '@jest/globals';
import { complainTo } from './log.ts';

test('an error is logged with what to do about it, once', () => {
  const logged: string[] = [];
  const complain = complainTo((text) => logged.push(text));
  const hint = 'use another port';
  complain(Object.assign(new Error('the port is taken'), { code: 'EADDRINUSE', hint }));
  complain(Object.assign(new Error(`the port is taken: ${hint}`), { code: 'EADDRINUSE', hint }));
  complain(new Error('all is lost'));
  expect(logged).toEqual(['the port is taken; use another port', 'the port is taken: use another port', 'all is lost']);
});
