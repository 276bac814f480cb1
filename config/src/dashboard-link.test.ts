import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { dashboardLink, newDashboardKey, publishDoor, readDoors, tokenEnd } from './dashboard-link.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'penstock-door-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const door = { origin: 'http://127.0.0.1:4460', key: newDashboardKey() };

test('a link carries its end, and holds for its own key alone', () => {
  const token = new URL(dashboardLink(door, 5_000_000)).searchParams.get('token')!;
  expect(tokenEnd(token, door.key)).toBe(5_600_000);
  expect(tokenEnd(token, newDashboardKey())).toBeNull();
  expect(tokenEnd(token.replace(/^5600/, '9600'), door.key)).toBeNull();
  for (const other of ['', 'a.b.c', `${token}x`, token.slice(1)]) expect(tokenEnd(other, door.key)).toBeNull();
});

test('the key of a running dashboard is found, and goes with it; its successor’s on the same port stays', () => {
  const withdraw = publishDoor(directory, door);
  expect(readDoors(directory)).toEqual([door]);
  const successor = { ...door, key: newDashboardKey() };
  const withdrawSuccessor = publishDoor(directory, successor);
  withdraw();
  expect(readDoors(directory)).toEqual([successor]);
  withdrawSuccessor();
  expect(readdirSync(join(directory, 'dashboard'))).toEqual([]);
});

test('a key that others may have written is none, and no key is laid where others may read', () => {
  const folder = join(directory, 'dashboard');
  publishDoor(directory, door);
  const [name = ''] = readdirSync(folder);
  chmodSync(join(folder, name), 0o644);
  expect(readDoors(directory)).toEqual([]);
  symlinkSync('/etc/hostname', join(folder, 'other.json'));
  expect(() => readDoors(directory)).toThrow(/ELOOP/);
  chmodSync(folder, 0o755);
  expect(() => publishDoor(directory, door)).toThrow(/no directory of this user/);
  rmSync(folder, { recursive: true });
  mkdirSync(join(directory, 'elsewhere'));
  symlinkSync('elsewhere', folder);
  expect(() => publishDoor(directory, door)).toThrow(/no directory of this user/);
});

test('if no dashboard was ever run there is none', () => {
  expect(readDoors(directory)).toEqual([]);
  writeFileSync(join(directory, 'dashboard'), '');
  expect(() => readDoors(directory)).toThrow(/ENOTDIR/);
});
