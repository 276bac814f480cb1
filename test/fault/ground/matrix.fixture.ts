/** For tests: every field, mode and source on other disks than the checkout's, whole files compared. As root only: loop-mounted. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { has, mayMount, mountLoop } from '../../support/loop-disk.fixture.ts';
import { faultsOfJobs, strayNames } from '../../support/request-rows.ts';
import { ContentServer } from '../../soak/served.ts';
import { System } from '../../support/system.ts';

const DISK_BYTES = 1_073_741_824;

const DISKS = [
  { name: 'XFS', make: ['mkfs.xfs', '-q'], sectorBytes: 512 },
  { name: 'ext4 with sectors of 4096 bytes', make: ['mkfs.ext4', '-q'], sectorBytes: 4096 },
];

/** Declares a test of each disk, with files of these sizes. */
export function testOtherDisks(sizes: readonly number[]): void {
  let system: System;
  let server: ContentServer;
  beforeEach(async () => {
    system = await System.open();
  });
  afterEach(async () => {
    await system.close();
    await server.close();
  });

  for (const { name, make, sectorBytes } of DISKS) {
    (mayMount() && has(make[0]!) ? test : test.skip)(
      `on ${name} every field, mode and source gives exactly the bytes asked for`,
      async () => {
        const mount = mountLoop(system.home, system.undo, make, DISK_BYTES, sectorBytes);
        const shmDirectory = mkdtempSync('/dev/shm/penstock-matrix-');
        system.undo.push(() => rmSync(shmDirectory, { recursive: true }));
        await system.host([
          '--threads',
          '2',
          '--shm',
          shmDirectory,
          '--url-allow',
          '127.0.0.1',
          '--root',
          `disk=${mount}`,
        ]);
        server = await ContentServer.open();
        const place = { root: 'disk', directory: mount, shmDirectory, server, sizes };
        expect(await faultsOfJobs(system, place)).toEqual([]);
        expect(strayNames(readdirSync(mount, { recursive: true, encoding: 'utf8' }))).toEqual([]);
      },
      180_000,
    );
  }
}
