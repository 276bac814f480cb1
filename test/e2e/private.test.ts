// Promise 5, through the queue: nobody is let in while a file is written, after a crash, or in the end, who was not before.
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { System } from '../support/system.ts';

/** Another user than this one is at hand for root alone. */
const isRoot = process.getuid?.() === 0;

let system: System;
let memory: string;
beforeEach(async () => {
  system = await System.open();
  memory = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'penstock-test-'));
});
afterEach(async () => {
  await system.close();
  rmSync(memory, { recursive: true, force: true });
});

const modeOf = (path: string): string => (statSync(path).mode & 0o7777).toString(8);

function ownerOf(name: string): string {
  const { uid, gid } = statSync(system.path(name));
  return `${uid}:${gid} ${modeOf(system.path(name))}`;
}

test('a 0600 file of a user stays his and closed: while it is replaced, after kill -9 of the host, and when it is', async () => {
  const shm = ['--threads', '1', '--shm', join(memory, 'segments'), '--lock-duration', '1000'];
  const host = await system.host(shm);
  writeFileSync(system.path('a'), 'old');
  chmodSync(system.path('a'), 0o600);
  if (isRoot) chownSync(system.path('a'), 1234, 5678);
  const before = ownerOf('a');
  const size = '20MiB';
  const job = await system.add({ path: 'a', size, limit: { bytesPerSecond: '16MiB' } }, { attempts: 3 });
  await system.progressOf(job, (progress) => progress['bytesWritten']! > 0);
  await host.end('SIGKILL');
  const part = system.names().find((name) => name.endsWith('.part'));
  expect([part === undefined ? 'none' : modeOf(system.path(part)), ownerOf('a')]).toEqual(['600', before]);
  await system.host(shm);
  const { returnvalue } = await system.finished(job);
  expect(returnvalue).toMatchObject({ bytes: 20_971_520 });
  expect(returnvalue).not.toHaveProperty('notKept');
  expect([statSync(system.path('a')).size, ownerOf('a')]).toEqual([20_971_520, before]);
});

test('the host makes its directory of segments; one that others can write is refused, with what to do about it', async () => {
  const directory = join(memory, 'segments');
  const segment = { path: 'a', source: { kind: 'shm', name: 'frame' } };
  const host = await system.host(['--threads', '1', '--shm', directory]);
  expect(modeOf(directory)).toBe('700');
  writeFileSync(join(directory, 'frame'), 'of its user');
  expect((await system.finished(await system.add(segment))).returnvalue).toMatchObject({ bytes: 11 });
  await host.end();
  rmSync(directory, { recursive: true });

  mkdirSync(directory);
  chmodSync(directory, 0o777);
  writeFileSync(join(directory, 'frame'), 'of anybody');
  const careless = await system.host(['--threads', '1', '--shm', directory]);
  expect(careless.said()).toMatch(/no segments of shared memory: EPERM.*Others may put files there.*--shm-group/);
  const { failedReason } = await system.finished(await system.add(segment));
  expect(failedReason).toMatch(/EPERM.*Others may put files there/);
});
