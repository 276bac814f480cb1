import { tmpdir } from 'node:os';
import { expect, test } from '@jest/globals';
import { parseRootChoice, rootsOf } from './host-roots.ts';

test('a root is a name, or a name with the directory it shall stand for', () => {
  expect(parseRootChoice('scratch')).toEqual({ name: 'scratch' });
  expect(parseRootChoice(`scratch=${tmpdir()}:ro`)).toEqual({
    name: 'scratch',
    definition: { name: 'scratch', path: tmpdir(), writable: false },
  });
  // What is there is looked at by the host, whom a disk that does not answer holds up no longer than it may.
  expect(parseRootChoice('scratch=/no/such/directory').definition?.path).toBe('/no/such/directory');
});

test('one name cannot stand for two directories, and may be named twice for one', () => {
  const here = parseRootChoice(`here=${tmpdir()}`);
  expect(rootsOf([here, undefined, here])).toHaveLength(1);
  expect(() => rootsOf([here, parseRootChoice('here=/')])).toThrow(/two directories/);
});
