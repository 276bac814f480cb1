import { expect, test } from '@jest/globals';
import { Command } from 'commander';
import { collectRootLimit, parseRate } from './rates.ts';
import { addHostOptions } from './options.ts';
import { type HostOptions, hostSettings } from './settings.ts';

test('rates are sizes a second, and there is a word for none', () => {
  expect(parseRate('100MiB')).toBe(104_857_600);
  expect(parseRate('1.5GB/s')).toBe(1_500_000_000);
  expect(parseRate('4096')).toBe(4096);
  expect(parseRate('0')).toBe(0);
  expect(parseRate('none')).toBe(0);
  for (const text of ['', 'fast', '-1', '100 M', '1MiB/min', '0.5'])
    expect(() => parseRate(text)).toThrow(/Give bytes/);
});

test('each root is limited once, by name', () => {
  expect(collectRootLimit('b=2KiB', collectRootLimit('a=1KiB', {}))).toEqual({ a: 1024, b: 2048 });
  expect(() => collectRootLimit('a=1', { a: 1 })).toThrow(/twice/);
  expect(() => collectRootLimit('a', {})).toThrow(/captures=100MiB/);
});

test('a host has no limits by default, and none of a root that it does not have', () => {
  const settingsOf = (...args: string[]) => {
    const command = addHostOptions(new Command()).exitOverride();
    command.parse(args, { from: 'user' });
    return hostSettings(command.opts<HostOptions>(), { PENSTOCK_DATA: '/tmp' });
  };
  expect(settingsOf()).toMatchObject({ limitBytesPerSecond: 0, rootLimits: {}, stopGraceMs: 10_000 });
  expect(settingsOf('--limit', '1MiB', '--root-limit', 'data=1KiB', '--stop-grace', '500')).toMatchObject({
    limitBytesPerSecond: 1_048_576,
    rootLimits: { data: 1024 },
    stopGraceMs: 500,
  });
  expect(() => settingsOf('--root-limit', 'other=1KiB')).toThrow(/no root of this host/);
});
