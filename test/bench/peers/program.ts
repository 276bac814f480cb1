/** Runs a peer that is a program of its own, and accounts for it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { performance } from 'node:perf_hooks';
import { text } from 'node:stream/consumers';
import { type ProcessUsage, endedChildrenCpuSeconds, peakRssBytes } from '../processes.ts';

/** Often enough for memory that only grows; rare enough to cost the program nothing. */
const WATCH_MS = 10;

export interface ProgramRun {
  stdout: string;
  seconds: number;
  usage: ProcessUsage;
}

/** One run of `name` to its end. No other child of this process may end meanwhile. @throws where it fails */
export async function runProgram(name: string, args: string[]): Promise<ProgramRun> {
  const cpuBefore = endedChildrenCpuSeconds();
  const started = performance.now();
  const child = spawn(name, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let peak = 0;
  const watch = (): void => {
    try {
      peak = Math.max(peak, peakRssBytes(child.pid!));
    } catch {
      // It ended between two looks; its memory was seen before.
    }
  };
  const ended = once(child, 'close'); // rejects where it cannot be started
  watch();
  const watching = setInterval(watch, WATCH_MS);
  try {
    const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
    if (code !== 0) throw new Error(`${[name, ...args].join(' ')} failed: ${stderr}`);
    const seconds = (performance.now() - started) / 1000;
    const cpuSeconds = endedChildrenCpuSeconds() - cpuBefore;
    return { stdout, seconds, usage: { name, cpuSeconds, peakRssBytes: peak } };
  } finally {
    clearInterval(watching);
  }
}

/** Flushes what earlier work left to write back, so that no sample pays for another. */
export async function settleDisk(): Promise<void> {
  await runProgram('sync', []);
}
