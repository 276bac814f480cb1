import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { deviceOf } from '@penstock/disk';
import { profileOf } from './profile.fixture.ts';
import { readProfile, writeProfile } from './profile.ts';

let home: string;
const root = (): { name: string; path: string; writable: boolean } => ({ name: 'fast', path: home, writable: true });

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'profile-test-'));
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

test('what was written is read again, and nothing else is left beside it', () => {
  const profile = profileOf(root());
  writeProfile(home, { ...profile, kernel: 'an older one' });
  const file = writeProfile(home, profile);
  expect(file).toBe(join(home, 'calibration/fast.json'));
  expect(readProfile(home, root())).toEqual({ profile, fault: null });
  expect(readdirSync(join(home, 'calibration'))).toEqual(['fast.json']);
});

test('a root that was never calibrated has no profile, which is no fault', () => {
  expect(readProfile(home, root())).toEqual({ profile: null, fault: null });
});

test.each([
  ['no JSON', 'rows: 8'],
  ['of another version', JSON.stringify({ version: 2 })],
  [
    'out of range',
    JSON.stringify({ ...profileOf({ name: 'fast', path: tmpdir(), writable: true }), winner: { threads: 0 } }),
  ],
])('a profile that is %s is named and not used', (_, text) => {
  mkdirSync(join(home, 'calibration'));
  writeFileSync(join(home, 'calibration/fast.json'), text);
  const { profile, fault } = readProfile(home, root());
  expect(profile).toBeNull();
  expect(fault).toContain(join(home, 'calibration/fast.json'));
});

test('a profile of another directory is not used', () => {
  writeProfile(home, { ...profileOf(root()), path: '/srv/before' });
  expect(readProfile(home, root())).toEqual({
    profile: null,
    fault: `root fast was calibrated at /srv/before and is now ${home}`,
  });
});

test('a profile of another device is not used, nor one of another file system on the same', () => {
  const profile = profileOf(root());
  for (const device of [{ number: '999:7' }, { fileSystem: 'minix' }]) {
    writeProfile(home, { ...profile, device: { ...profile.device, ...device } });
    const { profile: found, fault } = readProfile(home, root());
    expect(found).toBeNull();
    expect(fault).toMatch(/root fast was calibrated on .*(999:7|minix).* and is now on /);
  }
});

test('a file system without a block device is the same after it was mounted again', () => {
  const proc = { name: 'proc', path: '/proc', writable: true };
  const profile = { ...profileOf(proc), device: { ...deviceOf('/proc'), number: '0:9999' } };
  writeProfile(home, profile);
  expect(readProfile(home, proc)).toEqual({ profile, fault: null });
});
