/** Penstock against itself: more threads, and more jobs, for the same bytes. */
import { System } from '../../support/system.ts';
import type { PairedCase } from '../case.ts';
import { openHost } from '../subjects/host.ts';
import { type LargeWrite, MIB, largeWriteSide } from '../subjects/large-write.ts';

const FILES = 4;

const writeOf = (smoke: boolean): LargeWrite => ({
  sizeBytes: (smoke ? 16 : 1024) * MIB,
  matrix: { rows: 32, rowBytes: MIB },
});

const threads: PairedCase = {
  kind: 'paired',
  name: 'threads-2',
  what: `1 GiB in ${FILES} files at once through the queue, rows of 1 MiB, two threads`,
  peer: 'the same files on one thread',
  unit: 'MiB/s',
  missing: () => null,
  async open(system, { smoke }) {
    const write = { ...writeOf(smoke), files: FILES };
    const two = await openHost(system, ['--threads', '2']);
    // Hosts of one queue would take each other's jobs.
    const other = await System.open();
    try {
      const one = await openHost(other, ['--threads', '1']);
      return {
        subject: largeWriteSide(system, two, write),
        peer: largeWriteSide(other, one, write),
        async close() {
          await two.close();
          await one.close();
          await other.close();
        },
      };
    } catch (error) {
      await other.close();
      throw error;
    }
  },
};

const jobs: PairedCase = {
  kind: 'paired',
  name: 'jobs-4',
  what: `1 GiB in ${FILES} files at once through the queue, rows of 1 MiB, one thread`,
  peer: 'the same bytes in one file',
  unit: 'MiB/s',
  missing: () => null,
  async open(system, { smoke }) {
    const host = await openHost(system, ['--threads', '1', '--jobs', String(FILES)]);
    return {
      subject: largeWriteSide(system, host, { ...writeOf(smoke), files: FILES }),
      peer: largeWriteSide(system, host, writeOf(smoke)),
      close: host.close,
    };
  },
};

export const sideBySide: PairedCase[] = [threads, jobs];
