/** One large write through the queue, from add to completed, against fio with the same rows and depth. */
import { performance } from 'node:perf_hooks';
import { cpuSecondsOf } from '../cpu.ts';
import { fioVersion, runFio } from '../fio.ts';
import type { BenchCase } from '../case.ts';

function largeWrite(name: string, rowBytes: number, rows: number, floor: number, batched = false): BenchCase {
  return {
    name,
    what: `1 GiB write through the queue, ${rowBytes / 1024} KiB rows, fresh file, fdatasync`,
    peer: `fio libaio, direct, depth ${rows}${batched ? ', batched' : ''}, end_fsync`,
    unit: 'MiB/s',
    floor,
    missing: () => (fioVersion() === null ? 'fio is not installed; on Debian: apt install fio' : null),
    async open(system, { smoke }) {
      const sizeBytes = smoke ? 16_777_216 : 1_073_741_824;
      const host = await system.host(['--threads', '1', '--depth', String(Math.max(64, rows))]);
      const redisPid = await system.redisPid();
      const cpu = (): number => cpuSecondsOf(host.child.pid!) + cpuSecondsOf(redisPid);
      return {
        async subject() {
          system.remove('large.dat');
          const cpuBefore = cpu();
          const started = performance.now();
          const request = {
            path: 'large.dat',
            size: sizeBytes,
            matrix: { rows, rowBytes },
            source: { kind: 'pattern', pattern: 'stamp', seed: 7 },
          };
          const job = await system.add(request);
          const { returnvalue, failedReason } = await system.finished(job);
          const seconds = (performance.now() - started) / 1000;
          if (returnvalue?.bytes !== sizeBytes) throw new Error(`the write failed: ${failedReason}`);
          return { rate: sizeBytes / 1_048_576 / seconds, cpuSeconds: cpu() - cpuBefore };
        },
        peer: async () => runFio({ file: system.path('fio.dat'), sizeBytes, rowBytes, depth: rows, batched }),
        close: async () => {
          await host.end();
        },
      };
    },
  };
}

export const largeWrites: BenchCase[] = [
  largeWrite('large-1m', 1_048_576, 32, 0.9),
  largeWrite('large-64k', 65_536, 32, 0.9),
];
