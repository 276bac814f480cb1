/** Copying a file through the queue against cp and dd; the source is not in the page cache, the copy is flushed. */
import { execFileSync, spawnSync } from 'node:child_process';
import { performance } from 'node:perf_hooks';
import type { BenchCase } from '../case.ts';
import { openLargeWrite } from '../large-write.ts';
import type { Sample } from '../pairs.ts';

const MIB = 1_048_576;

/** Times one command line of coreutils as a whole process; CPU is not accounted. */
function timeCommand(command: string, sizeBytes: number): Sample {
  const started = performance.now();
  execFileSync('sh', ['-c', command], { stdio: ['ignore', 'ignore', 'pipe'] });
  return { rate: sizeBytes / MIB / ((performance.now() - started) / 1000), cpuSeconds: Number.NaN };
}

/** Drops a file from the page cache: what dd documents for it. */
const forget = (file: string): void => {
  execFileSync('dd', [`if=${file}`, 'iflag=nocache', 'count=0', 'status=none']);
};

function againstTool(name: string, peer: string, command: (from: string, to: string) => string): BenchCase {
  return {
    name,
    what: '1 GiB copy through the queue, rows of 1 MiB, fresh file, fdatasync',
    peer,
    unit: 'MiB/s',
    floor: 1.2,
    missing: () => (spawnSync('dd', ['--version']).status === 0 ? null : 'dd of GNU coreutils is not installed'),
    async open(system, { smoke }) {
      const sizeBytes = (smoke ? 16 : 1024) * MIB;
      const source = { kind: 'file', path: 'source.dat' };
      const { subject, close } = await openLargeWrite(system, { sizeBytes, rows: 32, rowBytes: MIB, source });
      const made = { path: 'source.dat', size: sizeBytes, source: { kind: 'pattern', pattern: 'random', seed: 7 } };
      await system.finished(await system.add(made));
      const from = system.path('source.dat');
      return {
        subject: () => {
          forget(from);
          return subject();
        },
        peer: async () => {
          forget(from);
          system.remove('tool.dat');
          return timeCommand(command(from, system.path('tool.dat')), sizeBytes);
        },
        close,
      };
    },
  };
}

export const copies: BenchCase[] = [
  againstTool('copy-cp', 'cp, then sync -d', (from, to) => `cp '${from}' '${to}' && sync -d '${to}'`),
  againstTool(
    'copy-dd',
    'dd direct in rows of 1 MiB, fdatasync',
    (from, to) => `dd if='${from}' of='${to}' bs=1M iflag=direct oflag=direct conv=fdatasync status=none`,
  ),
];
