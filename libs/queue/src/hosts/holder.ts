/** The process that holds a host's name, and whether it surely lives no more. */
import { randomUUID } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import type { HostProcess } from './record.ts';

export interface Holder extends HostProcess {
  /** Distinguishes it from every other process, whatever its number. */
  instance: string;
  /** The start of the machine and the namespace that `pid` is a number of; machines and containers may have one name. */
  numberedBy: string;
  /** When it was started, in ticks since the machine's start: numbers of processes are used again. */
  startedAtTicks: string;
}

/** This process. */
export function thisProcess(): Holder {
  return {
    pid: process.pid,
    machine: hostname(),
    instance: randomUUID(),
    numberedBy: numbering(),
    startedAtTicks: statOf(process.pid)?.startedAtTicks ?? '',
  };
}

/** The holder that `json` names; null if it is unreadable. */
export function holderIn(json: string): Holder | null {
  try {
    const value = JSON.parse(json) as Partial<Holder>;
    const { pid = 0, machine = '', instance = '', numberedBy = '', startedAtTicks = '' } = value;
    return { pid, machine, instance, numberedBy, startedAtTicks };
  } catch {
    return null;
  }
}

/** True if the process has surely ended: it would be seen from here. */
export function hasEnded({ pid, numberedBy, startedAtTicks }: Holder): boolean {
  if (pid <= 0 || numberedBy === '' || numberedBy !== numbering()) return false;
  if (!isListed(pid)) return true;
  const stat = statOf(pid);
  if (stat === null) return false; // another user's may be hidden
  // A disk may hold a thread of a process that has ended, or its parent has not waited for it: it is listed, as Z.
  return /^[ZX]/.test(stat.state) || stat.startedAtTicks !== startedAtTicks;
}

function isListed(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function numbering(): string {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
    return `${boot} ${readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    return ''; // without /proc nothing is known of other processes
  }
}

function statOf(pid: number): { state: string; startedAtTicks: string } | null {
  try {
    // The name may have blanks and brackets in it.
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').at(-1)!.split(' ');
    return { state: fields[0]!, startedAtTicks: fields[19]! };
  } catch {
    return null;
  }
}
