import { describe, expect, test } from '@jest/globals';
import { IoError, RootError, toWire } from '@penstock/contract';
import { formatWait, isLogged, nextDelayMs, readRecord, waitNote, waitedOut } from './waits.ts';

const full = toWire(
  new IoError({ syscall: 'statfs', errno: -28, path: '/data/a.bin', hint: '2.00 GiB needed, 1.10 GiB free on data.' }),
);

describe('the delay to the next try', () => {
  test.each([0, 0.5, 0.999])('grows from a second to at most thirty, with jitter %d', (random) => {
    const delays = Array.from({ length: 12 }, (_, tries) =>
      nextDelayMs({ attempt: 1, tries, waitedMs: 0 }, 3_600_000, random),
    );
    expect(delays[0]).toBe(1000);
    for (const [index, delay] of delays.entries()) {
      expect(delay).toBeGreaterThanOrEqual(delays[index - 1] ?? 1000);
      expect(delay).toBeLessThanOrEqual(30_000);
    }
    expect(delays.at(-1)).toBeGreaterThanOrEqual(15_000);
  });

  test('ends where the wait must end', () => {
    expect(nextDelayMs({ attempt: 1, tries: 9, waitedMs: 59_000 }, 60_000, 0)).toBe(1000);
    expect(nextDelayMs({ attempt: 1, tries: 9, waitedMs: 59_990 }, 60_000, 0)).toBe(10);
  });
});

describe('the record of a wait', () => {
  test('goes on from what another host wrote', () => {
    const kept = { attempt: 2, tries: 7, waitedMs: 61_000 };
    expect(readRecord(JSON.stringify(kept), 2)).toEqual(kept);
  });

  test.each([
    null,
    '',
    'null',
    '[]',
    '{"attempt":2}',
    '{"attempt":2,"tries":-1,"waitedMs":0}',
    '{"attempt":1,"tries":3,"waitedMs":9}',
  ])('begins anew where %s stands', (json) => {
    expect(readRecord(json, 2)).toEqual({ attempt: 2, tries: 0, waitedMs: 0 });
  });

  test('is logged ever more seldom', () => {
    const logged = Array.from({ length: 130 }, (_, index) => index + 1).filter((tries) =>
      isLogged({ attempt: 1, tries, waitedMs: 0 }),
    );
    expect(logged).toEqual([1, 2, 4, 8, 16, 32, 64, 128]);
  });
});

test('the note says the figures, that no attempt is counted, and when it is tried again', () => {
  expect(waitNote('space', full, 4000)).toBe(
    'waiting for space: 2.00 GiB needed, 1.10 GiB free on data (attempt not counted; next try in 4 s)',
  );
  const sick = toWire(new RootError({ root: 'data', host: 'a', reason: 'read-only file system', hint: 'Remount it.' }));
  expect(waitNote('the root', sick, 1000)).toBe(
    'waiting for root data of host a: read-only file system (attempt not counted; next try in 1 s)',
  );
});

test('a wait that lasted too long fails for good, and says for what and how long it waited', () => {
  const wire = waitedOut('space', full, { attempt: 1, tries: 142, waitedMs: 3_600_000 });
  expect(wire).toMatchObject({ code: 'ENOSPC', syscall: 'statfs', retryable: false });
  expect(wire.message).toMatch(/ENOSPC.*1\.10 GiB free on data\. Waited 60 min for space, 142 tries/);
});

test.each([
  [400, '400 ms'],
  [90_000, '90 s'],
  [150_000, '2 min 30 s'],
  [3_600_000, '60 min'],
  [7_500_000, '2 h 5 min'],
])('%d ms are told as %s', (ms, text) => {
  expect(formatWait(ms)).toBe(text);
});
