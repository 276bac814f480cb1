/** For tests: every field, mode and source, on the disk that holds the checkout. */
import { mkdtempSync, rmSync } from 'node:fs';
import { afterAll, beforeAll } from '@jest/globals';
import type { RootPlace } from '../support/request-rows.ts';
import { ContentServer } from '../soak/served.ts';
import { System } from '../support/system.ts';

/** A system whose host may do all that the rows of the table ask for, open while the tests of the file run. */
export function openMatrix(): { system: () => System; place: () => RootPlace } {
  let system: System;
  let place: RootPlace;
  beforeAll(async () => {
    system = await System.open();
    const shmDirectory = mkdtempSync('/dev/shm/penstock-matrix-');
    const server = await ContentServer.open();
    place = { root: 'data', directory: system.data, shmDirectory, server };
    await system.host(['--threads', '2', '--shm', shmDirectory, '--url-allow', '127.0.0.1']);
  });
  afterAll(async () => {
    rmSync(place.shmDirectory, { recursive: true });
    await system.close();
    await place.server.close();
  });
  return { system: () => system, place: () => place };
}
