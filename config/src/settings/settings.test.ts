import { totalmem } from 'node:os';
import { Command } from 'commander';
import { expect, test } from '@jest/globals';
import * as defaults from './defaults.ts';
import { addHostOptions } from './options.ts';
import { storeSettings } from './settings.ts';

function parse(...args: string[]): Record<string, unknown> {
  const command = addHostOptions(new Command())
    .exitOverride()
    .configureOutput({ writeErr: () => {} });
  return command.parse(args, { from: 'user' }).opts();
}

test('row memory beyond what the machine has is refused with both figures, all of it is taken', () => {
  expect(() => parse('--memory', '100TiB')).toThrow(/100TiB.*This machine has .*iB: give less/);
  expect(parse('--memory', `${totalmem()}`)).toMatchObject({ memoryBytes: totalmem() });
});

test('a checkpoint every few bytes is refused: each is a flush', () => {
  expect(() => parse('--checkpoint', '4KiB')).toThrow(/Give at least 1MiB/);
  expect(parse('--checkpoint', '8MiB')).toMatchObject({ checkpointBytes: 8_388_608 });
  expect(parse()).toMatchObject({ checkpointBytes: defaults.CHECKPOINT_BYTES });
});

test('urls may be let to networks, addresses and names; what is none of them is refused', () => {
  const allowed = ['10.1.0.0/16', 'fd00::/8', '127.0.0.1', '::1', 'artifacts.internal', '*.internal', 'localhost'];
  expect(parse(...allowed.flatMap((text) => ['--url-allow', text]))).toMatchObject({ urlAllow: allowed });
  for (const text of [
    '10.1.0.0/33',
    '10.1.0/16',
    '10.1',
    'a/8',
    '::/129',
    '10.0.0.0/8/8',
    '10.0.0.0/',
    'a b',
    '*',
    '',
  ]) {
    expect(() => parse('--url-allow', text)).toThrow(/a network like/);
  }
});

test('an empty data directory is none: the default holds, not the current directory', () => {
  const env = { HOME: '/home/somebody' };
  expect(storeSettings({ data: '' }, env).dataDirectory).toBe(defaults.dataDirectory(env));
  expect(storeSettings({ data: '/srv/penstock' }, env).dataDirectory).toBe('/srv/penstock');
});
