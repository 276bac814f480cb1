import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { checkSegments } from './segments.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'penstock-doctor-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

test('it tells who may put segments there, and what to do where that is anybody', () => {
  const place = { directory: join(directory, 'segments'), groupId: undefined };
  expect(checkSegments(place)).toMatchObject({
    verdict: 'ok',
    found: expect.stringMatching(/user alone \(not there yet/),
  });
  mkdirSync(place.directory, { mode: 0o700 });
  expect(checkSegments(place)).toMatchObject({ verdict: 'ok', found: `${place.directory}, for this user alone` });
  chmodSync(place.directory, 0o777);
  expect(checkSegments(place)).toMatchObject({
    verdict: 'warn',
    found: `${place.directory} is not used (EPERM)`,
    remedy: expect.stringMatching(/Others may put files there.*chmod 700/),
  });
});
