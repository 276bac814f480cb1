/**
 * Copying a file through the queue against cp and dd; the copy is flushed. The source is not in the page cache, but for
 * `copy-cached`, where all of it is.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import type { PairedCase } from '../case.ts';
import { openHost } from '../subjects/host.ts';
import { MIB, largeWriteSide } from '../subjects/large-write.ts';
import { runProgram } from '../peers/program.ts';

/** Drops a file from the page cache: what dd documents for it. */
const forget = (file: string): void => {
  execFileSync('dd', [`if=${file}`, 'iflag=nocache', 'count=0', 'status=none']);
};

/** Reads a file into the page cache. */
const recall = (file: string): void => {
  execFileSync('cat', [file], { stdio: ['ignore', 'ignore', 'inherit'] });
};

type CommandLine = [program: string, ...args: string[]];

function againstTool(
  name: PairedCase['name'],
  peer: string,
  commands: (from: string, to: string) => CommandLine[],
  ready: (source: string) => void = forget,
): PairedCase {
  return {
    kind: 'paired',
    name,
    what: `1 GiB copy through the queue${ready === recall ? ' of a cached source' : ''}, rows of 1 MiB, fresh file, fdatasync`,
    peer,
    unit: 'MiB/s',
    missing: () => (spawnSync('dd', ['--version']).status === 0 ? null : 'dd of GNU coreutils is not installed'),
    async open(system, { smoke }) {
      const sizeBytes = (smoke ? 16 : 1024) * MIB;
      const host = await openHost(system, ['--threads', '1']);
      const made = { path: 'source.dat', size: sizeBytes, source: { kind: 'pattern', pattern: 'random', seed: 7 } };
      await system.finished(await system.add(made));
      const [from, to] = [system.path('source.dat'), system.path('tool.dat')];
      const source = { kind: 'file', path: 'source.dat' };
      const subject = largeWriteSide(system, host, { sizeBytes, matrix: { rows: 32, rowBytes: MIB }, source });
      return {
        subject: {
          async prepare() {
            await subject.prepare();
            ready(from);
          },
          run: subject.run,
        },
        peer: {
          async prepare() {
            system.remove('tool.dat');
            ready(from);
          },
          async run() {
            let seconds = 0;
            const processes = [];
            for (const [program, ...args] of commands(from, to)) {
              const done = await runProgram(program, args);
              seconds += done.seconds;
              processes.push(done.usage);
            }
            return { rate: sizeBytes / MIB / seconds, processes, figures: {} };
          },
        },
        close: host.close,
      };
    },
  };
}

const cpAndSync = (from: string, to: string): CommandLine[] => [
  ['cp', from, to],
  ['sync', '-d', to],
];

export const copies: PairedCase[] = [
  againstTool('copy-cp', 'cp, then sync -d', cpAndSync),
  againstTool('copy-dd', 'dd direct in rows of 1 MiB, fdatasync', (from, to) => [
    ['dd', `if=${from}`, `of=${to}`, 'bs=1M', 'iflag=direct', 'oflag=direct', 'conv=fdatasync', 'status=none'],
  ]),
  againstTool('copy-cached', 'cp, then sync -d', cpAndSync, recall),
];
