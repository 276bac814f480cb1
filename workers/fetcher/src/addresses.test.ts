import { expect, test } from '@jest/globals';
import { AddressPolicy } from './addresses.ts';

const fault = (address: string, allowed: string[] = [], name = 'example.org'): string | null =>
  new AddressPolicy(allowed).fault(address, name);

test.each([
  ['0.0.0.0', 'this network'],
  ['0.1.2.3', 'this network'],
  ['10.255.255.255', 'private'],
  ['100.64.0.1', 'shared by a carrier'],
  ['100.127.255.254', 'shared by a carrier'],
  ['127.0.0.1', 'loopback'],
  ['127.9.9.9', 'loopback'],
  ['169.254.169.254', 'link-local'],
  ['172.16.0.1', 'private'],
  ['172.31.255.255', 'private'],
  ['192.0.0.8', 'reserved for protocols'],
  ['192.168.1.1', 'private'],
  ['198.18.0.1', 'for benchmarks'],
  ['224.0.0.1', 'multicast'],
  ['239.255.255.255', 'multicast'],
  ['255.255.255.255', 'reserved'],
  ['::', 'unspecified'],
  ['::1', 'loopback'],
  ['fc00::1', 'private'],
  ['fdff:ffff::1', 'private'],
  ['fe80::1', 'link-local'],
  ['fe80::1%eth0', 'link-local'],
  ['febf::1', 'link-local'],
  ['fec0::1', 'site-local'],
  ['ff02::1', 'multicast'],
  ['2001::1', 'reserved for protocols'],
  ['2001:db8::1', 'for documentation'],
  ['2002:a00:1::', 'of 6to4'],
  ['::ffff:10.0.0.1', 'private'],
  ['::ffff:7f00:1', 'loopback'],
  ['::ffff:169.254.169.254', 'link-local'],
  ['64:ff9b::10.0.0.1', 'private'],
  ['64:ff9b::a9fe:a9fe', 'link-local'],
  ['64:ff9b::0.0.0.0', 'this network'],
  ['64:ff9b:1::1', 'of no public network'],
  ['::10.0.0.1', 'of no public network'],
  ['4000::1', 'of no public network'],
  ['not an address', 'no address'],
])('%s is refused: %s', (address, what) => {
  expect(fault(address)).toBe(what);
});

test.each([
  '1.1.1.1',
  '9.255.255.255',
  '11.0.0.0',
  '100.63.255.255',
  '100.128.0.0',
  '126.255.255.255',
  '128.0.0.1',
  '169.253.255.255',
  '172.15.255.255',
  '172.32.0.0',
  '192.167.255.255',
  '192.169.0.0',
  '223.255.255.255',
  '2606:4700:4700::1111',
  '2001:200::1',
  '::ffff:1.1.1.1',
  '64:ff9b::101:101',
])('%s is public', (address) => {
  expect(fault(address)).toBeNull();
});

test('what the host allows is let through, and no more than that', () => {
  expect(fault('10.1.2.3', ['10.1.0.0/16'])).toBeNull();
  expect(fault('::ffff:10.1.2.3', ['10.1.0.0/16'])).toBeNull();
  expect(fault('64:ff9b::10.1.2.3', ['10.1.0.0/16'])).toBeNull();
  expect(fault('10.2.0.1', ['10.1.0.0/16'])).toBe('private');
  expect(fault('127.0.0.1', ['127.0.0.1'])).toBeNull();
  expect(fault('127.0.0.2', ['127.0.0.1'])).toBe('loopback');
  expect(fault('fd00::5', ['fd00::/8'])).toBeNull();
  expect(fault('::1', ['127.0.0.1'])).toBe('loopback');
});

test('a name is allowed as itself, with what is below it only if that is asked for', () => {
  const allowed = ['Artifacts.internal', '*.lab.example'];
  expect(fault('10.0.0.1', allowed, 'artifacts.internal')).toBeNull();
  expect(fault('10.0.0.1', allowed, 'ARTIFACTS.internal.')).toBeNull();
  expect(fault('10.0.0.1', allowed, 'a.artifacts.internal')).toBe('private');
  expect(fault('10.0.0.1', allowed, 'artifacts.internal.evil.example')).toBe('private');
  expect(fault('10.0.0.1', allowed, 'a.b.lab.example')).toBeNull();
  expect(fault('10.0.0.1', allowed, 'lab.example')).toBe('private');
  expect(fault('10.0.0.1', allowed, 'evillab.example')).toBe('private');
});

test.each([
  'http://127.1/',
  'http://2130706433/',
  'http://0x7f000001/',
  'http://0177.0.0.1/',
  'http://0/',
  'http://[::ffff:127.0.0.1]/',
  'http://[::]/',
  'http://１２７.０.０.１/',
])('an address in an odd notation is judged as what it is: %s', (url) => {
  expect(() => new AddressPolicy().assertHost(new URL(url).hostname)).toThrow(
    / is (loopback|this network|unspecified)$/,
  );
});

test('a name that leads to private addresses alone is not resolved to any', async () => {
  const outcome = (policy: AddressPolicy, all: boolean): Promise<unknown> =>
    new Promise((resolve) => {
      policy.lookup('localhost', { all }, (error, address) => resolve(error ?? address));
    });
  for (const all of [true, false]) {
    expect(await outcome(new AddressPolicy(), all)).toMatchObject({ what: 'loopback' });
  }
  expect(await outcome(new AddressPolicy(['127.0.0.1']), true)).toEqual([{ address: '127.0.0.1', family: 4 }]);
  expect(await outcome(new AddressPolicy(['127.0.0.1']), false)).toBe('127.0.0.1');
});
