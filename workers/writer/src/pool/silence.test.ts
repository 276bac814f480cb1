import { expect, test } from '@jest/globals';
import { Silence } from './silence.ts';

const NOTHING_BACK = { progressed: false, stuck: true };

test('a disk is silent once nothing has come back for three seconds of looks, and no more with the first thing that does', () => {
  const silence = new Silence();
  for (let look = 1; look < 6; look += 1) silence.take(NOTHING_BACK, look * 500);
  expect(silence.sinceMs).toBeNull();
  silence.take(NOTHING_BACK, 3000);
  expect(silence.sinceMs).toBe(500);
  silence.take({ progressed: true, stuck: true }, 3500);
  expect(silence.sinceMs).toBeNull();
});

test('a write that waits for something else than its disk is no silence, nor is a process that was stopped', () => {
  const silence = new Silence();
  for (let look = 0; look < 100; look += 1) silence.take({ progressed: false, stuck: false }, look * 500);
  silence.take(NOTHING_BACK, 50_000);
  silence.take(NOTHING_BACK, 3_600_000);
  expect(silence.sinceMs).toBeNull();
});
