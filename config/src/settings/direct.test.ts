import { expect, test } from '@jest/globals';
import { Command } from 'commander';
import { collectDirect, directTexts, directOf } from './direct.ts';
import { addHostOptions } from './options.ts';
import { type HostOptions, hostSettings } from './settings.ts';

test('direct I/O is turned off for all roots, or for one, and one of all may keep it', () => {
  const choices = collectDirect('captures=auto', collectDirect('off', {}));
  expect(directOf(choices, 'captures')).toBe('auto');
  expect(directOf(choices, 'data')).toBe('off');
  expect(directOf({}, 'data')).toBe('auto');
  expect(directTexts(choices)).toEqual(['off', 'captures=auto']);
});

test('what is not understood, or given twice, is refused with what is understood', () => {
  for (const text of ['', 'on', 'captures', 'captures=', 'captures=never', '*=off'])
    expect(() => collectDirect(text, {})).toThrow(/captures=off/);
  expect(() => collectDirect('off', { '*': 'auto' })).toThrow(/twice of all roots/);
  expect(() => collectDirect('a=off', { a: 'off' })).toThrow(/twice of the root "a"/);
});

test('the roots of a host have their choice, and a root that it does not have is refused', () => {
  const rootsOf = (...args: string[]) => {
    const command = addHostOptions(new Command()).exitOverride();
    command.parse(['--root', 'a=/tmp', ...args], { from: 'user' });
    return hostSettings(command.opts<HostOptions>(), { PENSTOCK_DATA: '/tmp' }).roots;
  };
  const directs = (...args: string[]) => rootsOf(...args).map(({ name, direct = 'auto' }) => `${name} ${direct}`);
  expect(directs()).toEqual(['data auto', 'a auto']);
  expect(directs('--direct', 'off')).toEqual(['data off', 'a off']);
  expect(directs('--direct', 'a=off')).toEqual(['data auto', 'a off']);
  expect(() => directs('--direct', 'b=off')).toThrow(/--direct names "b", which is no root/);
});
