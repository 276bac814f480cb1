import { expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

interface Locked {
  resolved?: string;
  link?: boolean;
  optionalDependencies?: Record<string, string>;
}

const lockFile = fileURLToPath(new URL('../../package-lock.json', import.meta.url));
const { packages } = JSON.parse(readFileSync(lockFile, 'utf8')) as { packages: Record<string, Locked> };

test('the lock file has the packages of every platform, so that npm ci works on each', () => {
  const missing: string[] = [];
  for (const [path, { optionalDependencies }] of Object.entries(packages))
    for (const name of Object.keys(optionalDependencies ?? {}))
      if (!packages[`node_modules/${name}`] && !packages[`${path}/node_modules/${name}`]) missing.push(name);
  expect(missing).toEqual([]);
});

test('the lock file names no download host, so that everybody uses their own registry', () => {
  const hosts = Object.values(packages).filter(({ resolved, link }) => resolved !== undefined && !link);
  expect(hosts).toEqual([]);
});
