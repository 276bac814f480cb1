// What another user may have put where a write looks for its own, with all the attributes that would make it pass for that.
import { chmodSync, chownSync, closeSync, fstatSync, openSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { WriteAbortedError } from '@penstock/contract';
import { STOP_SHUTDOWN } from '@penstock/matrix';
import { type Bench, openBench } from '../thread/thread.fixture.ts';

/** Another user than this one is at hand for root alone. */
const testAsRoot = process.getuid?.() === 0 ? test : test.skip;
const MIB = 1_048_576;
const STRANGER = 1234;
const FIRST = { jobKey: 'job', attemptToken: '1' };
const SECOND = { jobKey: 'job', attemptToken: '2', again: true };

let bench: Bench;
beforeEach(() => {
  bench = openBench({ checkpoints: { bytes: MIB, ms: 60_000 } });
});
afterEach(() => bench.end());

const at = (name: string): string => join(bench.directory, name);

/** As if the stranger had made it, and kept it open: his descriptor. */
function giveAway(name: string): number {
  chownSync(at(name), STRANGER, STRANGER);
  return openSync(at(name), 'r');
}

/** The stranger's file, which he has open, is not the one at `name`. */
function expectApart(descriptor: number, name: string): void {
  const his = fstatSync(descriptor);
  const { ino, uid } = statSync(at(name));
  closeSync(descriptor);
  expect([uid, ino === his.ino]).toEqual([0, false]);
}

testAsRoot.each(['1777', '777', '775'])(
  'a part that its owner could read as it is filled is not gone on with, in a directory of mode %s',
  async (mode) => {
    const request = { path: 'a', size: 8 * MIB, fileMode: '600', matrix: { rows: 1, rowBytes: 4096 } };
    const block = bench.control.job(63);
    block.reset();
    const write = bench.write(request, { block, ...FIRST });
    while (block.read().bytesDurable < 2 * MIB) await setImmediate();
    block.requestStop(STOP_SHUTDOWN);
    await expect(write).rejects.toThrow(WriteAbortedError);
    const [part = ''] = bench.names();
    expect(part).toMatch(/\.part$/);
    chmodSync(bench.directory, Number.parseInt(mode, 8));
    const descriptor = giveAway(part);
    expect(await bench.write(request, SECOND)).not.toHaveProperty('resumedFrom');
    expectApart(descriptor, 'a');
    expect(bench.names()).toEqual(['a']);
  },
);

testAsRoot.each(['atomic', 'in-place'] as const)(
  'create (%s) does not take a file for its own because that says so',
  async (publish) => {
    const request = { path: 'a', size: 10, mode: 'create', publish } as const;
    await bench.write(request, FIRST);
    chmodSync(bench.directory, 0o1777);
    const descriptor = giveAway('a');
    await expect(bench.write(request, SECOND)).rejects.toMatchObject({ code: 'EEXIST' });
    expect(statSync(at('a')).ino).toBe(fstatSync(descriptor).ino);
    closeSync(descriptor);
  },
);

testAsRoot('a file in a sticky directory is not finished because it says so', async () => {
  const request = { path: 'a', size: 2 * MIB };
  await bench.write(request, FIRST);
  chmodSync(bench.directory, 0o1777);
  const descriptor = giveAway('a');
  expect(await bench.write(request, SECOND)).not.toHaveProperty('resumedFrom');
  expectApart(descriptor, 'a');
});
