import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { deviceOf, tagsOf } from './device.ts';

const sys = mkdtempSync(join(tmpdir(), 'device-test-'));
afterAll(() => rmSync(sys, { recursive: true, force: true }));

/** A disk as sysfs shows it, with one partition. */
function makeDisk(name: string, tags: number): void {
  mkdirSync(join(sys, name, 'queue'), { recursive: true });
  mkdirSync(join(sys, name, 'slaves'));
  mkdirSync(join(sys, name, `${name}1`));
  writeFileSync(join(sys, name, 'queue/nr_requests'), `${tags}\n`);
}

function makeStack(name: string, below: readonly string[]): void {
  makeDisk(name, 128);
  for (const path of below) symlinkSync(join(sys, path), join(sys, name, 'slaves', path.replaceAll('/', '-')));
}

test('the tags of a disk are those of its queue, and of its partitions as well', () => {
  makeDisk('sda', 64);
  expect(tagsOf(join(sys, 'sda'))).toBe(64);
  symlinkSync(join(sys, 'sda/sda1'), join(sys, '8:1')); // as /sys/dev/block does
  expect(tagsOf(join(sys, '8:1'))).toBe(64);
});

test('a stack of devices has the fewest tags below it, whatever its own queue says', () => {
  makeDisk('sdb', 32);
  makeDisk('sdc', 1023);
  makeStack('md0', ['sdc', 'sdb/sdb1']);
  makeStack('dm-0', ['md0']);
  expect(tagsOf(join(sys, 'dm-0'))).toBe(32);
});

test('what has no queue has no known tags', () => {
  expect(tagsOf(join(sys, '0:25'))).toBeNull();
  expect(deviceOf('/proc')).toEqual({ number: expect.stringMatching(/^0:\d+$/), fileSystem: 'proc', tags: null });
});

test('a directory that is still to be made lies on the device of the one above', () => {
  expect(deviceOf(join(process.cwd(), 'not/there/yet'))).toEqual(deviceOf(process.cwd()));
});

test('the device of a directory is the one that it is mounted from', () => {
  const { number, fileSystem } = deviceOf(process.cwd());
  expect(number).toMatch(/^\d+:\d+$/);
  expect(readFileSync('/proc/self/mountinfo', 'utf8')).toContain(` - ${fileSystem} `);
});
