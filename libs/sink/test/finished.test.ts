// A write that had all its bytes when its attempt died, and had not said so: what the next attempt makes of it.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { WriteRequestInput } from '@penstock/contract';
import { type Bench, openBench, sha256 } from '../src/thread/thread.fixture.ts';

const MIB = 1_048_576;
const ALIGNED = MIB;

let bench: Bench;

beforeEach(() => {
  bench = openBench({ checkpoints: { bytes: MIB / 4, ms: 60_000 } });
});

afterEach(() => bench.end());

const standing = Buffer.alloc(2 * MIB + 77, 'what stood there');

/** Each way that leaves a file in place for the next attempt, and what stands there before. */
const WAYS: [string, Partial<WriteRequestInput>, Buffer | null][] = [
  ['created in place', { publish: 'in-place', mode: 'create' }, null],
  ['replaced in place', { publish: 'in-place' }, standing],
  ['overwritten', { mode: 'overwrite', offset: 777 }, standing],
  ['overwritten beyond its end', { mode: 'overwrite', offset: 777 }, standing.subarray(0, MIB / 2)],
  ['appended to', { mode: 'append' }, standing],
];
const CHECKS: Partial<WriteRequestInput>[] = [
  { checksum: 'sha256' },
  { checksum: 'crc32c', verify: 'readback' },
  { verify: 'readback' },
  {},
];
const SIZES = [1, 513].map((ragged) => ALIGNED + ragged).concat(ALIGNED);

for (const [what, how, before] of WAYS) {
  test(`a file that was ${what} and finished, but not reported, is right after the next attempt, whatever its size and its checks`, async () => {
    for (const [index, size] of SIZES.entries()) {
      for (const check of CHECKS) {
        const path = `${index}-${JSON.stringify(check).replaceAll(/\W/g, '')}`;
        if (before !== null) writeFileSync(join(bench.directory, path), before);
        const source = { kind: 'pattern', pattern: 'stamp', seed: 5 } as const;
        const request = { path, size, source, ...how, ...check };
        const first = await bench.write(request, { jobKey: 'job', attemptToken: '1' });
        const right = bench.read(path);
        const second = await bench.write(request, { jobKey: 'job', attemptToken: '2', again: true });
        expect(second).toMatchObject({ bytes: size, resumedFrom: size, writes: 0 });
        expect(second.checksum).toEqual(first.checksum);
        expect(second.verified).toBe(first.verified);
        expect(bench.read(path).equals(right)).toBe(true);
        if (check.checksum === 'sha256') {
          const own = right.subarray(first.offset ?? 0, (first.offset ?? 0) + size);
          expect(second.checksum).toMatchObject({ value: sha256(own) });
        }
      }
    }
  });
}
