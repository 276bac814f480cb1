/** One large write through the queue, from add to completed, against fio and against Node's own ways. */
import { besideBench } from '../beside.ts';
import type { PairedCase } from '../case.ts';
import { fioMissing, fioSide } from '../peers/fio.ts';
import { openHost } from '../subjects/host.ts';
import { MIB, filledOnce, largeWriteSide } from '../subjects/large-write.ts';
import { runProgram } from '../peers/program.ts';

const ROWS = 32;

const sizeOf = (smoke: boolean): number => (smoke ? 16 : 1024) * MIB;

const rowsOf = (rowBytes: number): string =>
  `rows of ${rowBytes < MIB ? `${rowBytes / 1024} K` : `${rowBytes / MIB} M`}iB`;

interface AgainstFio {
  name: PairedCase['name'];
  rowBytes: number;
  batched?: boolean;
  overwrite?: boolean;
}

function againstFio({ name, rowBytes, batched = false, overwrite = false }: AgainstFio): PairedCase {
  // fallocate comes before fio's clock starts; the file that is overwritten has its blocks already.
  const manner = [`depth ${ROWS}`, overwrite ? 'in place' : 'fallocated', ...(batched ? ['batched'] : [])].join(', ');
  return {
    kind: 'paired',
    name,
    what: overwrite
      ? // In place Penstock empties a file first, so this is the write that its users make over an existing one.
        `1 GiB write through the queue, ${rowsOf(rowBytes)}, an existing file replaced atomically, fdatasync`
      : `1 GiB write through the queue, ${rowsOf(rowBytes)}, fresh file, fdatasync`,
    peer: `fio libaio direct, ${manner}, end_fsync`,
    unit: 'MiB/s',
    missing: fioMissing,
    async open(system, { smoke }) {
      const sizeBytes = sizeOf(smoke);
      const host = await openHost(system, ['--threads', '1']);
      const subject = largeWriteSide(system, host, { sizeBytes, matrix: { rows: ROWS, rowBytes }, overwrite });
      const file = system.path('fio.dat');
      const peer = fioSide({ file, sizeBytes, rowBytes, depth: ROWS, batched, overwrite });
      if (overwrite) for (const side of [subject, peer]) await side.run(); // what the first pair is to overwrite
      return { subject, peer, close: host.close };
    },
  };
}

/** The peers write 64 KiB at a time, as streams and pipes hand it to them. What node-ways.mjs prints; its start is left out, to its advantage, as the host's is. */
interface NodeReport {
  seconds: number;
  cpuSeconds: number;
  peakRssBytes: number;
}

function againstNode(name: PairedCase['name'], way: 'stream' | 'handles', peer: string): PairedCase {
  const rowBytes = 65_536;
  return {
    kind: 'paired',
    name,
    what: '1 GiB write through the queue, default matrix, rows filled once, fresh file, fdatasync',
    peer,
    unit: 'MiB/s',
    missing: () => null,
    async open(system, { smoke }) {
      const sizeBytes = sizeOf(smoke);
      const host = await openHost(system, ['--threads', '1']);
      const file = system.path('node.dat');
      return {
        subject: largeWriteSide(system, host, { sizeBytes, source: filledOnce }),
        peer: {
          async prepare() {
            system.remove('node.dat');
          },
          async run() {
            const args = [besideBench('peers/node-ways.mjs'), way, file, `${sizeBytes}`, `${rowBytes}`];
            const { stdout } = await runProgram(process.execPath, args);
            const { seconds, ...usage } = JSON.parse(stdout) as NodeReport;
            return { rate: sizeBytes / MIB / seconds, processes: [{ name: 'node', ...usage }], figures: {} };
          },
        },
        close: host.close,
      };
    },
  };
}

export const largeWrites: PairedCase[] = [
  againstFio({ name: 'large-1m', rowBytes: MIB }),
  againstFio({ name: 'large-64k', rowBytes: 65_536 }),
  againstFio({ name: 'large-4k', rowBytes: 4096, batched: true }),
  againstFio({ name: 'overwrite-1m', rowBytes: MIB, overwrite: true }),
  againstFio({ name: 'overwrite-4k', rowBytes: 4096, batched: true, overwrite: true }),
  againstNode('node-stream', 'stream', 'createWriteStream, highWaterMark of 2 MiB, fdatasync'),
  againstNode('node-handles', 'handles', '32 concurrent FileHandle.write of 64 KiB, fdatasync'),
];
