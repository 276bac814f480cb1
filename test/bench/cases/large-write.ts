/** One large write through the queue, from add to completed, against fio and against Node's own ways. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { besideBench } from '../beside.ts';
import type { BenchCase } from '../case.ts';
import { fioVersion, runFio } from '../fio.ts';
import { openLargeWrite } from '../large-write.ts';

const MIB = 1_048_576;
const run = promisify(execFile);

const sizeOf = (smoke: boolean): number => (smoke ? 16 : 1024) * MIB;

function againstFio(name: string, rowBytes: number, floor: number, batched = false): BenchCase {
  const rows = 32;
  return {
    name,
    what: `1 GiB write through the queue, rows of ${rowBytes / 1024} KiB, fresh file, fdatasync`,
    peer: `fio libaio, direct, depth ${rows}${batched ? ', batched' : ''}, end_fsync`,
    unit: 'MiB/s',
    floor,
    missing: () => (fioVersion() === null ? 'fio is not installed; on Debian: apt install fio' : null),
    async open(system, { smoke }) {
      const sizeBytes = sizeOf(smoke);
      const { subject, close } = await openLargeWrite(system, { sizeBytes, rows, rowBytes });
      const file = system.path('fio.dat');
      return { subject, peer: async () => runFio({ file, sizeBytes, rowBytes, depth: rows, batched }), close };
    },
  };
}

function againstNode(name: string, way: 'stream' | 'handles', what: string, rowBytes: number): BenchCase {
  return {
    name,
    what: `1 GiB write through the queue, rows of ${rowBytes / 1024} KiB, fresh file, fdatasync`,
    peer: what,
    unit: 'MiB/s',
    floor: 1.7,
    cpuCeiling: 0.25,
    missing: () => null,
    async open(system, { smoke }) {
      const sizeBytes = sizeOf(smoke);
      const { subject, close } = await openLargeWrite(system, { sizeBytes, rows: 32, rowBytes });
      return {
        subject,
        async peer() {
          system.remove('node.dat');
          const options = [besideBench('node-ways.mjs'), way, system.path('node.dat'), `${sizeBytes}`, `${rowBytes}`];
          const { stdout } = await run(process.execPath, options);
          const { seconds, cpuSeconds } = JSON.parse(stdout) as { seconds: number; cpuSeconds: number };
          return { rate: sizeBytes / MIB / seconds, cpuSeconds };
        },
        close,
      };
    },
  };
}

export const largeWrites: BenchCase[] = [
  againstFio('large-1m', MIB, 1),
  againstFio('large-64k', 65_536, 1),
  againstFio('large-4k', 4096, 1, true),
  againstNode('node-stream', 'stream', 'createWriteStream in rows of the same size, fdatasync', 65_536),
  againstNode('node-handles', 'handles', '32 concurrent FileHandle.write, fdatasync', 65_536),
];
