/** The peer: fio with libaio, told to do the same writes. Nothing is installed here. */
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import type { Sample } from './pairs.ts';

export interface FioJob {
  file: string;
  sizeBytes: number;
  rowBytes: number;
  depth: number;
  /** Submit and reap in batches, as fio is tuned for small rows. */
  batched?: boolean;
}

/** The version of fio, or null where it is not installed. */
export function fioVersion(): string | null {
  const { stdout, status } = spawnSync('fio', ['--version'], { encoding: 'utf8' });
  return status === 0 ? stdout.trim() : null;
}

export function fioArguments({ file, sizeBytes, rowBytes, depth, batched = false }: FioJob): string[] {
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
    '--end_fsync=1',
    '--output-format=json',
  ];
}

/** One run on a fresh file; MiB/s as fio reports them. @throws where fio fails */
export function runFio(job: FioJob): Sample {
  rmSync(job.file, { force: true });
  const { stdout, stderr, status } = spawnSync('fio', fioArguments(job), { encoding: 'utf8' });
  if (status !== 0) throw new Error(`fio failed: ${stderr}`);
  const report = JSON.parse(stdout.slice(stdout.indexOf('{'))) as {
    jobs: [
      {
        error: number;
        usr_cpu: number;
        sys_cpu: number;
        job_runtime: number;
        write: { bw_bytes: number; io_bytes: number };
      },
    ];
  };
  const [done] = report.jobs;
  if (done.error !== 0 || done.write.io_bytes !== job.sizeBytes)
    throw new Error(`fio wrote ${done.write.io_bytes} bytes`);
  const cpuShare = (done.usr_cpu + done.sys_cpu) / 100;
  return { rate: done.write.bw_bytes / 1_048_576, cpuSeconds: (cpuShare * done.job_runtime) / 1000 };
}
