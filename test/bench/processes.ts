/**
 * CPU time and memory of processes, as the kernel accounts them. What kernel threads do for a process is in no one's
 * account: the writeback of buffered writes costs those peers nothing here.
 */
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';

export interface ProcessUsage {
  name: string;
  cpuSeconds: number;
  /** The most resident memory while it was watched. */
  peakRssBytes: number;
}

/** CPU seconds of the threads that `pid` has now, to the nanosecond; /proc/<pid>/stat counts in hundredths. */
export function cpuSecondsOf(pid: number): number {
  const tasks = `/proc/${pid}/task`;
  let nanoseconds = 0;
  for (const thread of readdirSync(tasks)) {
    nanoseconds += Number(readFileSync(`${tasks}/${thread}/schedstat`, 'latin1').split(' ')[0]);
  }
  return nanoseconds / 1e9;
}

/** The most resident memory that `pid` had since forgetPeakRss, else ever, in bytes. */
export function peakRssBytes(pid: number): number {
  const [, kilobytes = '0'] = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1')) ?? [];
  return Number(kilobytes) * 1024;
}

function forgetPeakRss(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/clear_refs`, '5');
  } catch {
    // A kernel built without it: the peak is then that of the process's whole life, which is no less.
  }
}

/** What the processes `pids`, by name, used while `work` was done. */
export async function accounted<T>(
  pids: Readonly<Record<string, number>>,
  work: () => Promise<T>,
): Promise<{ value: T; processes: ProcessUsage[] }> {
  const named = Object.entries(pids);
  for (const [, pid] of named) forgetPeakRss(pid);
  const before = named.map(([, pid]) => cpuSecondsOf(pid));
  const value = await work();
  const processes = named.map(([name, pid], index) => ({
    name,
    cpuSeconds: cpuSecondsOf(pid) - before[index]!,
    peakRssBytes: peakRssBytes(pid),
  }));
  return { value, processes };
}

/** USER_HZ: what /proc reports CPU time in, 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

/** CPU seconds of all children of this process that have ended, and of theirs: what wait4 told Node. */
export function endedChildrenCpuSeconds(): number {
  const stat = readFileSync('/proc/self/stat', 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' '); // the name may hold spaces
  return (Number(fields[13]) + Number(fields[14])) / TICKS_PER_SECOND;
}
