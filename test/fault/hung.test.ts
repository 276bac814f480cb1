// A disk that does not answer beneath one root: frozen for real, and thawed again. As root only: it is loop-mounted.
import { existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Job } from 'bullmq';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { WriteQueue } from '@penstock/queue';
import { SettableDisk, whyNoDisk } from '../disks/settable-disk.ts';
import { type HostProcess, System, cliEntry } from '../system.ts';

const execute = promisify(execFile);
const reason = whyNoDisk();
const onDisk = reason === '' ? test : test.skip;

let system: System;
let disk: SettableDisk;
let queue: WriteQueue;
beforeEach(async () => {
  if (reason !== '') return;
  system = await System.open();
  disk = await SettableDisk.make(system.home);
  queue = new WriteQueue({ connection: { socketPath: system.redis.socketPath }, onError: () => {} });
});
afterEach(async () => {
  if (reason !== '') return;
  await disk.thaw();
  await queue.close();
  await system.hostsGone();
  await disk.close();
  await system.close();
});

const hostOfTwo = (...more: string[]): Promise<HostProcess> =>
  system.host(['--threads', '1', '--root', `cold=${disk.mount}`, ...more]);

/** Resolves once the host has said it. */
async function saying(host: HostProcess, pattern: RegExp, msMax: number): Promise<void> {
  const until = performance.now() + msMax;
  while (!pattern.test(host.said())) {
    if (performance.now() > until) throw new Error(`not said within ${msMax} ms: ${pattern}\n${host.said()}`);
    await delay(50);
  }
}

const write = (path: string, root: string, size: number | string = 1_048_576): Promise<Job> =>
  system.add({ path, root, size, source: { kind: 'pattern', pattern: 'stamp', seed: 3 } }, { attempts: 1 });

/** The process is gone, but for threads that are inside a call to the disk: the kernel keeps those. */
const hasEnded = ({ child }: HostProcess): boolean =>
  child.exitCode !== null ||
  child.signalCode !== null ||
  /^\d+ \(.*\) [ZX]/.test(readFileSync(`/proc/${child.pid}/stat`, 'latin1'));

onDisk(
  `while the disk of one root hangs, writes to another all complete, also after a cancel there; it is named within 5 s, and used again once it answers${reason}`,
  async () => {
    const host = await hostOfTwo();
    await system.finished(await write('warm', 'cold'));
    await disk.freeze();
    const frozenAt = performance.now();
    const stuck = await Promise.all([0, 1, 2, 3].map((index) => write(`stuck-${index}`, 'cold', '64MiB')));
    const before = await Promise.all(Array.from({ length: 20 }, (_, index) => write(`before-${index}`, 'data')));
    await saying(host, /root cold cannot be used: it does not answer/, 5000 - (performance.now() - frozenAt));
    for (const job of before) expect((await system.finished(job)).failedReason).toBeUndefined();

    const cancelledAt = performance.now();
    await queue.cancel(stuck[0]!.id!, { by: 'test' });
    const cancelled = await system.finished(stuck[0]!);
    expect(performance.now() - cancelledAt).toBeLessThan(2000);
    expect(cancelled.failedReason).toBe('cancelled by test');
    const after = await Promise.all(Array.from({ length: 20 }, (_, index) => write(`after-${index}`, 'data')));
    for (const job of after) expect((await system.finished(job)).failedReason).toBeUndefined();

    const late = await write('late', 'cold'); // is not begun now, and costs it no attempt
    await system.progressOf(late, (progress) => /file system to answer|root cold/.test(String(progress['note'])));
    await disk.thaw();
    await saying(host, /root cold can be used again/, 10_000);
    for (const job of [...stuck.slice(1), late]) expect((await system.finished(job)).failedReason).toBeUndefined();
    expect(existsSync(join(disk.mount, 'stuck-0'))).toBe(false);
    expect(host.said()).not.toMatch(/EWRITERDIED|thread ended/);
    expect(await host.end()).toBe(0);
  },
  120_000,
);

onDisk(
  `a host whose disk hangs ends when it is told to, with all its jobs back in the queue${reason}`,
  async () => {
    const host = await hostOfTwo();
    await system.finished(await write('warm', 'cold'));
    await disk.freeze();
    const stuck = await Promise.all([0, 1, 2].map((index) => write(`stuck-${index}`, 'cold', '64MiB')));
    await saying(host, /root cold cannot be used: it does not answer/, 10_000);
    const toldAt = performance.now();
    void host.end('SIGTERM');
    while (!hasEnded(host)) await delay(50);
    expect(performance.now() - toldAt).toBeLessThan(8000);
    for (const job of stuck) {
      expect(await job.getState()).toMatch(/waiting|delayed/);
      expect((await system.queue.getJob(job.id!))?.attemptsMade).toBe(0);
    }
    await disk.thaw();
    await hostOfTwo();
    for (const job of stuck) expect((await system.finished(job)).failedReason).toBeUndefined();
  },
  120_000,
);

onDisk(
  `a host is ready though a root does not answer as it begins, says so, and uses the root once it answers${reason}`,
  async () => {
    const root = join(disk.mount, 'below/root');
    mkdirSync(root, { recursive: true });
    await disk.forget(); // what is cached of it would answer
    await disk.freeze();
    const beganAt = performance.now();
    const host = await system.host(['--threads', '1', '--root', `cold=${root}`]);
    expect(performance.now() - beganAt).toBeLessThan(15_000);
    expect(host.said()).toMatch(/root cold cannot be used: it has not answered/);
    const job = await write('a', 'cold');
    expect((await system.finished(await write('b', 'data'))).failedReason).toBeUndefined();
    await disk.thaw();
    await saying(host, /root cold can be used again/, 10_000);
    expect((await system.finished(job)).failedReason).toBeUndefined();
    expect(statSync(join(root, 'a')).size).toBe(1_048_576);
    expect(await host.end()).toBe(0);
  },
  120_000,
);

onDisk(
  `doctor names a root that does not answer within 5 s of looking at it, judges the others, and ends${reason}`,
  async () => {
    mkdirSync(join(disk.mount, 'below'));
    await disk.forget();
    await disk.freeze();
    const roots = ['--root', `warm=${system.data}`, '--root', `cold=${join(disk.mount, 'below')}`];
    const args = [cliEntry, 'doctor', '--json', '--data', system.home, ...roots];
    const beganAt = performance.now();
    const { stdout } = await execute(process.execPath, args).catch((error: { stdout: string }) => error);
    expect(performance.now() - beganAt).toBeLessThan(15_000); // the rest of it included, on a machine with much else to do
    const { findings } = JSON.parse(stdout) as { findings: { what: string; verdict: string; found: string }[] };
    const cold = findings.filter(({ what }) => what.startsWith('root cold'));
    expect(cold).toMatchObject([{ verdict: 'fail', found: expect.stringContaining('does not answer') }]);
    expect(findings.find(({ what }) => what === 'root warm: writing')?.verdict).not.toBe('fail');
  },
  120_000,
);

onDisk(
  `a host that is told to stop before a root has answered ends all the same${reason}`,
  async () => {
    mkdirSync(join(disk.mount, 'below'));
    await disk.forget();
    await disk.freeze();
    const host = await system.host(['--threads', '1', '--root', `cold=${join(disk.mount, 'below')}`]);
    void host.end('SIGTERM');
    const until = performance.now() + 10_000;
    while (!hasEnded(host) && performance.now() < until) await delay(50);
    expect(hasEnded(host)).toBe(true);
  },
  120_000,
);
