/** The peer: fio with libaio, told to do the same writes. Nothing is installed here. */
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import type { Side } from '../pairs.ts';
import { runProgram } from './program.ts';

const MIB = 1_048_576;

export interface FioJob {
  file: string;
  sizeBytes: number;
  rowBytes: number;
  depth: number;
  /** Submit and reap in batches, as fio is tuned for small rows. */
  batched: boolean;
  /** Overwrite the file that the last run wrote; else every run writes a fresh one. */
  overwrite: boolean;
}

/** The version of fio, or null where it is not installed. */
export function fioVersion(): string | null {
  const { stdout, status } = spawnSync('fio', ['--version'], { encoding: 'utf8' });
  return status === 0 ? stdout.trim() : null;
}

export function fioMissing(): string | null {
  return fioVersion() === null ? 'fio is not installed; on Debian: apt install fio' : null;
}

function fioArguments({ file, sizeBytes, rowBytes, depth, batched, overwrite }: FioJob): string[] {
  return [
    '--name=peer',
    `--filename=${file}`,
    '--ioengine=libaio',
    '--direct=1',
    '--rw=write',
    `--bs=${rowBytes}`,
    `--iodepth=${depth}`,
    ...(batched ? ['--iodepth_batch=32', '--iodepth_batch_complete_min=1', '--iodepth_batch_complete_max=32'] : []),
    `--size=${sizeBytes}`,
    // Before its clock starts; a file that is overwritten has its blocks already.
    overwrite ? '--overwrite=1' : '--fallocate=native',
    '--end_fsync=1',
    // One process, whose memory can be watched.
    '--thread',
    '--output-format=json',
  ];
}

interface FioReport {
  jobs: [
    {
      error: number;
      usr_cpu: number;
      sys_cpu: number;
      job_runtime: number;
      write: { bw_bytes: number; io_bytes: number };
    },
  ];
}

/** Rate and CPU as fio reports them: its start, its layout and its preallocation are left out, to its advantage. */
export function fioSide(job: FioJob): Side {
  return {
    async prepare() {
      if (!job.overwrite) rmSync(job.file, { force: true });
    },
    async run() {
      const { stdout, usage } = await runProgram('fio', fioArguments(job));
      const [done] = (JSON.parse(stdout.slice(stdout.indexOf('{'))) as FioReport).jobs;
      if (done.error !== 0 || done.write.io_bytes !== job.sizeBytes)
        throw new Error(`fio wrote ${done.write.io_bytes} bytes`);
      const cpuShare = (done.usr_cpu + done.sys_cpu) / 100;
      const cpuSeconds = (cpuShare * done.job_runtime) / 1000;
      return { rate: done.write.bw_bytes / MIB, processes: [{ ...usage, cpuSeconds }], figures: {} };
    },
  };
}
