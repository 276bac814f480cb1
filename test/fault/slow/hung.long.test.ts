// A disk that does not answer beneath one root, as a host starts, works and stops; and what it costs the others.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Job } from 'bullmq';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { parseJob } from '@penstock/contract/judging';
import { WriterPool } from '@penstock/writer';
import { SettableDisk, whyNoDisk } from '../../disks/settable-disk.ts';
import { cliEntry } from '../../support/system.ts';
import { HungStage, hasEnded, saying } from './hung.fixture.ts';

const execute = promisify(execFile);
const reason = whyNoDisk();
const onDisk = reason === '' ? test : test.skip;

let stage: HungStage;
beforeEach(async () => {
  if (reason === '') stage = await HungStage.open();
});
afterEach(async () => {
  if (reason === '') await stage.close();
});

onDisk(
  `a host whose disk hangs ends when it is told to, with all its jobs back in the queue${reason}`,
  async () => {
    const host = await stage.host();
    await stage.system.finished(await stage.write('warm', 'cold'));
    await stage.disk.freeze();
    const stuck = await Promise.all([0, 1, 2].map((index) => stage.write(`stuck-${index}`, 'cold', '64MiB')));
    await saying(host, /root cold cannot be used: it does not answer/, 10_000);
    const toldAt = performance.now();
    void host.end('SIGTERM');
    while (!hasEnded(host)) await delay(50);
    expect(performance.now() - toldAt).toBeLessThan(8000);
    for (const job of stuck) {
      expect(await job.getState()).toMatch(/waiting|delayed/);
      expect((await stage.system.queue.getJob(job.id!))?.attemptsMade).toBe(0);
    }
    await stage.disk.thaw();
    await stage.host();
    for (const job of stuck) expect((await stage.system.finished(job)).failedReason).toBeUndefined();
  },
  120_000,
);

onDisk(
  `a host is ready though a root does not answer as it begins, says so, and uses the root once it answers${reason}`,
  async () => {
    const root = join(stage.disk.mount, 'below/root');
    mkdirSync(root, { recursive: true });
    await stage.disk.forget(); // what is cached of it would answer
    await stage.disk.freeze();
    const beganAt = performance.now();
    const host = await stage.system.host(['--threads', '1', '--root', `cold=${root}`]);
    expect(performance.now() - beganAt).toBeLessThan(15_000);
    expect(host.said()).toMatch(/root cold cannot be used: it has not answered/);
    const job = await stage.write('a', 'cold');
    expect((await stage.system.finished(await stage.write('b', 'data'))).failedReason).toBeUndefined();
    await stage.disk.thaw();
    await saying(host, /root cold can be used again/, 10_000);
    expect((await stage.system.finished(job)).failedReason).toBeUndefined();
    expect(statSync(join(root, 'a')).size).toBe(1_048_576);
    expect(await host.end()).toBe(0);
  },
  120_000,
);

onDisk(
  `a command whose own host hangs in its disk ends when it is interrupted${reason}`,
  async () => {
    mkdirSync(join(stage.disk.mount, 'root'));
    const target = ['--root', `cold=${join(stage.disk.mount, 'root')}`, '--data', stage.system.home];
    const args = [cliEntry, 'write', 'file', '--size', '128MiB', '--json', ...target];
    await stage.disk.setRate(20_971_520); // it is at work when it freezes
    const before = (await stage.disk.figures()).bytesWritten;
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    for (const output of [child.stdout, child.stderr])
      output.on('data', (text) => {
        said += String(text);
      });
    const ended = once(child, 'exit');
    while ((await stage.disk.figures()).bytesWritten < before + 20_000_000) {
      if (child.exitCode !== null) throw new Error(said);
      await delay(50);
    }
    await stage.disk.freeze();
    child.kill('SIGINT');
    const late = delay(20_000, 'late', { ref: false });
    expect(await Promise.race([ended, late])).not.toBe('late');
    child.kill('SIGKILL');
  },
  120_000,
);

onDisk(
  `doctor names a root that does not answer within 5 s of looking at it, judges the others, and ends${reason}`,
  async () => {
    mkdirSync(join(stage.disk.mount, 'below'));
    await stage.disk.forget();
    await stage.disk.freeze();
    const roots = ['--root', `warm=${stage.system.data}`, '--root', `cold=${join(stage.disk.mount, 'below')}`];
    const args = [cliEntry, 'doctor', '--json', '--data', stage.system.home, ...roots];
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
    mkdirSync(join(stage.disk.mount, 'below'));
    await stage.disk.forget();
    await stage.disk.freeze();
    const host = await stage.system.host(['--threads', '1', '--root', `cold=${join(stage.disk.mount, 'below')}`]);
    void host.end('SIGTERM');
    const until = performance.now() + 10_000;
    while (!hasEnded(host) && performance.now() < until) await delay(50);
    expect(hasEnded(host)).toBe(true);
  },
  120_000,
);

onDisk(
  `what a dead thread has in flight on a slow disk is waited for by no main thread${reason}`,
  async () => {
    const { disk } = stage;
    const entry = new URL('../../../workers/writer/test/throwing-worker.fixture.mjs', import.meta.url);
    const roots = [{ name: 'data', path: disk.mount, writable: true }];
    const pool = new WriterPool({
      threads: 1,
      depth: 16,
      jobs: 2,
      memoryBytes: 33_554_432,
      roots,
      engine: 'auto',
      entry,
    });
    await pool.ready();
    await disk.setRate(262_144);
    const dying = pool.run(parseJob({ path: 'die', size: '64MiB', matrix: { rows: 16, rowBytes: 524_288 } }), 'die', 1);
    let isOver = false;
    const outcome = dying.done
      .catch((error: unknown) => error)
      .finally(() => {
        isOver = true;
      });
    while (dying.block.read().bytesWritten === 0) await delay(20);
    let longestMs = 0;
    const lookUntil = performance.now() + 1500; // the thread is gone meanwhile, and its rows are with the disk
    for (let last = performance.now(); performance.now() < lookUntil; last = performance.now()) {
      await delay(20);
      longestMs = Math.max(longestMs, performance.now() - last);
    }
    expect(isOver).toBe(false);
    expect(longestMs).toBeLessThan(1000);
    await disk.setRate(null);
    expect(await outcome).toMatchObject({ code: 'EWRITERDIED', retryable: true });
    expect(await pool.close()).toBe(true);
  },
  120_000,
);

const FILES = 16;
const FILE_BYTES = 4_194_304;
const PAIRS = 3;

onDisk(
  `one hung root of three under load: the other two lose less than 5% of their throughput, and a cancel there acts within a second${reason}`,
  async () => {
    const { system, disk } = stage;
    const others: SettableDisk[] = [];
    try {
      for (let index = 0; index < 2; index += 1) others.push(await SettableDisk.make(system.home));
      const [one, two] = others;
      const host = await stage.host('--root', `one=${one!.mount}`, '--root', `two=${two!.mount}`);
      for (const root of ['one', 'two', 'cold']) await system.finished(await stage.write('warm', root));
      for (const other of others) await other.setRate(16_777_216); // the disks are what they wait for
      let round = 0;
      /** MiB a second of the two together. */
      const measure = async (withHung: boolean): Promise<number> => {
        round += 1;
        const hung: Job[] = [];
        if (withHung) {
          await disk.freeze();
          for (let index = 0; index < 40; index += 1) hung.push(await stage.write(`hung-${index}`, 'cold', '2MiB'));
          await saying(host, new RegExp(`(root cold cannot be used[^]*){${Math.ceil(round / 2)}}`), 10_000);
        }
        const beganAt = performance.now();
        const jobs: Job[] = [];
        for (let index = 0; index < FILES; index += 1)
          for (const root of ['one', 'two']) jobs.push(await stage.write(`${index}`, root, FILE_BYTES));
        for (const job of jobs) expect((await system.finished(job)).failedReason).toBeUndefined();
        const rate = (jobs.length * FILE_BYTES) / 1_048_576 / ((performance.now() - beganAt) / 1000);
        if (withHung) {
          const victim = await stage.write('victim', 'one', '64MiB');
          await system.progressOf(victim, ({ bytesWritten }) => bytesWritten! > 0);
          const cancelledAt = performance.now();
          await stage.queue.cancel(victim.id!, { by: 'test' });
          await system.finished(victim);
          cancels.push(performance.now() - cancelledAt);
          await disk.thaw();
          await saying(host, new RegExp(`(root cold can be used again[^]*){${Math.ceil(round / 2)}}`), 20_000);
          for (const job of hung) expect((await system.finished(job)).failedReason).toBeUndefined();
        }
        return rate;
      };
      const cancels: number[] = [];
      const ratios: number[] = [];
      for (let pair = 0; pair < PAIRS; pair += 1) {
        const beside = await measure(true);
        const alone = await measure(false);
        ratios.push(beside / alone);
        process.stderr.write(
          `two roots: ${alone.toFixed(1)} MiB/s alone, ${beside.toFixed(1)} beside a hung third (${ratios.at(-1)!.toFixed(3)}); ` +
            `cancel there ${cancels.at(-1)!.toFixed(0)} ms\n`,
        );
      }
      const [median] = ratios.toSorted((a, b) => a - b).slice(Math.floor(PAIRS / 2));
      expect(median).toBeGreaterThan(0.95);
      expect(Math.min(...cancels)).toBeLessThan(1000); // the machine may have much else to do
      await disk.freeze();
      const last = await stage.write('last', 'cold', '64MiB');
      await saying(host, new RegExp(`(root cold cannot be used[^]*){${PAIRS + 1}}`), 10_000);
      const toldAt = performance.now();
      void host.end('SIGTERM');
      while (!hasEnded(host)) await delay(50);
      process.stderr.write(`SIGTERM beside a hung root: ended after ${(performance.now() - toldAt).toFixed(0)} ms\n`);
      expect(await last.getState()).toMatch(/waiting|delayed|prioritized/);
      await disk.thaw();
    } finally {
      await disk.thaw();
      await system.hostsGone();
      for (const other of others) await other.close();
    }
  },
  300_000,
);
