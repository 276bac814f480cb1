// File systems that have less to offer (SMB, exFAT, some FUSE): what can be done is done, and what could not is reported.
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { System, foundProgram } from '../../support/system.ts';

const WAIT_MS = 60_000;

let system: System;
beforeEach(async () => {
  system = await System.open();
});
afterEach(() => system.close());

const strace = foundProgram('strace');
const withStrace = strace === null ? test.skip : test;

/** A host for which each of these calls ends with that errno. Positional I/O: then each flush is a call of its own. */
const hostWithout = async (refusals: Record<string, string>): Promise<void> => {
  const calls = Object.entries(refusals);
  const inject = [
    strace!.bin,
    '-f', // all threads
    '-D', // the host in the foreground
    '-qq',
    '--seccomp-bpf',
    '--output=/dev/null',
    `--trace=${calls.map(([call]) => call).join(',')}`,
    ...calls.map(([call, errno]) => `--inject=${call}:error=${errno}`),
  ];
  await system.host(['--threads', '1', '--engine', 'positional'], inject, strace!.env);
};

withStrace('a file is created without RENAME_NOREPLACE and without hard links, and never over another', async () => {
  await hostWithout({ renameat2: 'EINVAL', linkat: 'EPERM' });
  const source = { kind: 'pattern', pattern: 'text', seed: 1 };
  const request = { path: 'a.dat', size: 100_000, mode: 'create', source };
  const end = await system.finished(await system.add(request), WAIT_MS);
  expect(end.returnvalue).toMatchObject({ bytes: 100_000, notKept: [expect.stringContaining('empty for a moment')] });
  expect(statSync(system.path('a.dat')).size).toBe(100_000);
  const before = readFileSync(system.path('a.dat'));
  const refused = await system.finished(await system.add({ ...request, size: 5 }), WAIT_MS);
  expect(refused.failedReason).toMatch(/EEXIST/);
  expect(readFileSync(system.path('a.dat')).equals(before)).toBe(true);
  expect(system.names()).toEqual(['a.dat']);
});

withStrace(
  'where directories know no fsync the whole file system is flushed instead, and the write succeeds',
  async () => {
    await hostWithout({ fsync: 'EINVAL' });
    const end = await system.finished(await system.add({ path: 'new/a.dat', size: 100_000 }), WAIT_MS);
    expect(end.failedReason).toBeUndefined();
    expect(end.returnvalue).toMatchObject({ bytes: 100_000 });
  },
);

withStrace(
  'where neither permissions nor times can be set a write succeeds, and reports them; it opens no file wider',
  async () => {
    await hostWithout({ fchmod: 'EPERM', utimensat: 'EPERM', fchown: 'EPERM' });
    writeFileSync(system.path('in'), 'bytes', { mode: 0o644 });
    writeFileSync(system.path('old'), 'old', { mode: 0o640 });
    const source = { kind: 'file', path: 'in', mtime: 'keep' };
    const copied = await system.finished(await system.add({ path: 'copy', source, fileMode: '644' }), WAIT_MS);
    expect(copied.returnvalue.notKept).toEqual([
      expect.stringMatching(/^permissions 644 \(EPERM\): 600 instead$/),
      'time of modification (EPERM)',
    ]);
    expect(readFileSync(system.path('copy'), 'utf8')).toBe('bytes');
    const replaced = await system.finished(await system.add({ path: 'old', size: 5 }), WAIT_MS);
    expect(replaced.returnvalue.notKept).toEqual([expect.stringMatching(/^permissions 640 \(EPERM\)$/)]);
    expect(statSync(system.path('old')).mode & 0o777).toBe(0o600);
  },
);
