import { expect, test } from '@jest/globals';
import type { RootConfig } from '@penstock/disk';
import { PoolSum } from '@penstock/writer';
import { Vitals } from './vitals.ts';

test('a root whose disk does not answer is not asked for its space', () => {
  const asked: string[] = [];
  const roots: RootConfig[] = ['well', 'silent'].map((name) => ({ name, path: `/${name}`, writable: true }));
  const vitals = new Vitals({
    settings: { roots, jobs: 1, memoryBytes: 1, depth: 1 },
    pool: { jobSlots: 1, sum: () => new PoolSum() },
    mounts: { mountOf: () => null },
    admission: {
      spaceOf: (root, renew) => {
        if (renew) asked.push(root);
        return null;
      },
    },
    health: { isSilent: (name) => name === 'silent' },
  });
  vitals.read();
  vitals.close();
  expect(asked).toEqual(['well']);
});
