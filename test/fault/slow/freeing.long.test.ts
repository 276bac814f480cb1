// A disk that takes long to free blocks: emptying a large file in place, one call that is held up by strace.
import { writeFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { System, foundProgram } from '../../support/system.ts';
import { saying } from './hung.fixture.ts';

const MIB = 1_048_576;
const strace = foundProgram('strace');
const withStrace = strace === null ? test.skip : test;

let system: System;
beforeEach(async () => {
  system = await System.open();
});
afterEach(() => system.close());

/** The program to run a host by, so that each ftruncate of the file at `path` takes so long. */
const slowFreeing = (path: string, seconds: number): string[] => [
  strace!.bin,
  '-f',
  '-D',
  '-qq',
  '--seccomp-bpf',
  '-o',
  '/dev/null',
  '-P',
  path,
  '-e',
  'trace=ftruncate',
  '-e',
  `inject=ftruncate:delay_enter=${seconds}s`,
];

withStrace(
  'while the blocks of a large file are freed its thread serves other writes, and a stop does not wait for them',
  async () => {
    writeFileSync(system.path('large'), Buffer.alloc(16 * MIB, 1), { flush: true });
    const host = await system.host(['--threads', '1'], slowFreeing(system.path('large'), 20), strace!.env);
    const large = await system.add({ path: 'large', size: 16 * MIB, publish: 'in-place' });
    await system.progressOf(large, ({ phase }) => String(phase) === 'opening');
    for (let count = 0; count < 10; count += 1) {
      const small = await system.finished(await system.add({ path: `small-${count}`, size: 4096 }));
      expect(small.returnvalue).toMatchObject({ bytes: 4096 });
    }
    expect(await large.getState()).toBe('active');
    const ended = host.end('SIGTERM');
    await saying(host, /ends without its threads/, 10_000);
    await ended; // strace lets go of the call when its time is over
    await system.host(['--threads', '1']);
    expect((await system.finished(large)).returnvalue).toMatchObject({ bytes: 16 * MIB });
  },
  120_000,
);

withStrace(
  'a stop that does not wait for blocks that are being freed says how many files and bytes they are of, and of which root',
  async () => {
    writeFileSync(system.path('large'), Buffer.alloc(16 * MIB, 1), { flush: true });
    const host = await system.host(['--threads', '1'], slowFreeing(system.path('large'), 12), strace!.env);
    const large = await system.add({ path: 'large', size: 16 * MIB, publish: 'in-place' });
    await system.progressOf(large, ({ phase }) => String(phase) === 'opening');
    const ended = host.end('SIGTERM');
    await saying(host, /ends without its threads that free blocks \(1 file, 16\.00 MiB, of data\)/, 10_000);
    await ended;
  },
  120_000,
);
