/** CPU time and memory of processes, as the kernel accounts them. */
import { readFileSync } from 'node:fs';

/** USER_HZ: what /proc reports CPU time in, 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

/** CPU seconds that `pid` used so far, all its threads, user and system. */
export function cpuSecondsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' '); // the name may hold spaces
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** The most resident memory that `pid` ever had, in bytes. */
export function peakRssBytes(pid: number): number {
  const [, kilobytes = '0'] = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1')) ?? [];
  return Number(kilobytes) * 1024;
}
