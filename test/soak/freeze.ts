/**
 * SIGSTOP of a host for longer than its lock, while another takes its job over, and SIGCONT before, during or after the
 * other's write. The file is right, and the one that was stopped writes nothing any more.
 *
 * Both would write the same bytes, which would hide a late write. So the source is replaced by another file while the
 * first host stands still: that host still has the old one open, and each byte it wrote later would be an old one. What
 * it submits after it has woken is also counted by the kernel (write_bytes of /proc/<pid>/io).
 */
import { mkdirSync, readFileSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import type { WriteResult } from '@penstock/contract';
import { type HostProcess, System, sha256File } from '../support/system.ts';
import { contentSha256, differenceIn, writeContent } from './content.ts';
import type { Findings } from './findings.ts';
import { Seeded } from './seeded.ts';
import { END_MS_MAX, LOCK_MS, type SoakSettings, hostOptions } from './settings.ts';
import { Watch, filesOpen } from './watch.ts';

const PUBLISHES = ['atomic', 'in-place'] as const;
/** When the stopped host wakes, seen from the other's write. */
const WAKINGS = ['during', 'before', 'after'] as const;
type Waking = (typeof WAKINGS)[number];

/** Rows as large as one iocb can be: a single late one is far more than the noise of the file system's own blocks. */
const MATRIX = { rows: 4, rowBytes: 524_288 };
const LATE_BYTES_MAX = 262_144;
const LET_GO_MS_MAX = 60_000;
const LOOK_EVERY_MS = 2;
const TRIES_MAX = 6;
const TARGET = 'target.dat';

export async function soakFreeze(settings: SoakSettings, findings: Findings): Promise<void> {
  const system = await System.open();
  try {
    await new FreezeSoak(settings, findings, system).run();
  } finally {
    await system.close();
  }
}

class FreezeSoak {
  readonly #settings: SoakSettings;
  readonly #findings: Findings;
  readonly #system: System;
  readonly #random: Seeded;
  readonly #directory: string;
  #host!: HostProcess;
  #hostName = '';
  #hosts = 0;
  #jobs = 0;
  #lifeMs = 0;

  constructor(settings: SoakSettings, findings: Findings, system: System) {
    this.#settings = settings;
    this.#findings = findings;
    this.#system = system;
    this.#random = new Seeded(settings.seed);
    this.#directory = join(system.home, 'sources');
    mkdirSync(this.#directory);
  }

  async run(): Promise<void> {
    const { trials } = this.#settings;
    await this.#nextHost();
    await this.#measure();
    for (const [index, moment] of this.#random.moments(trials).entries()) {
      const publish = PUBLISHES[index % 2]!;
      // A file in place stays the stopped host's until that wakes: nobody can end the write before.
      const wakings = publish === 'atomic' ? WAKINGS : WAKINGS.slice(0, 2);
      const waking = wakings[Math.floor(index / 2) % wakings.length]!;
      await this.#meet(`${index + 1}/${trials} ${publish}, woken ${waking} the other's write`, publish, waking, moment);
    }
    this.#findings.say(`${trials} hosts stopped for longer than their lock`);
  }

  async #nextHost(): Promise<void> {
    this.#hosts += 1;
    this.#hostName = `host-${this.#hosts}`;
    this.#host = await this.#system.host([...hostOptions(this.#hostName), '--root', `sources=${this.#directory}:ro`]);
  }

  /** Puts a source there that holds other bytes than all before; whoever has the old one open keeps it. */
  async #replaceSource(): Promise<number> {
    this.#jobs += 1;
    const seed = this.#settings.seed + this.#jobs;
    const fresh = join(this.#directory, 'fresh');
    await writeContent(fresh, seed, this.#settings.sizeBytes);
    renameSync(fresh, join(this.#directory, 'source.dat'));
    return seed;
  }

  #request(publish: string): object {
    const source = { kind: 'file', root: 'sources', path: 'source.dat' };
    return { path: TARGET, publish, matrix: MATRIX, source };
  }

  async #measure(): Promise<void> {
    await this.#replaceSource();
    for (const publish of PUBLISHES) {
      const begunMs = performance.now();
      const end = await this.#system.finished(await this.#system.add(this.#request(publish)), END_MS_MAX);
      this.#lifeMs = performance.now() - begunMs;
      this.#findings.demand(end.failedReason === undefined, `undisturbed: it ends completed: ${end.failedReason}`);
    }
  }

  async #meet(what: string, publish: string, waking: Waking, moment: number): Promise<void> {
    let drawn = moment;
    for (let tries = 1; tries <= TRIES_MAX; tries += 1) {
      if (await this.#freeze(what, publish, waking, drawn)) return;
      drawn = this.#random.next();
    }
    this.#findings.demand(false, `${what}: a stop meets the write in ${TRIES_MAX} tries`);
  }

  /** One stop; returns whether it met the write. */
  async #freeze(what: string, publish: string, waking: Waking, moment: number): Promise<boolean> {
    await this.#replaceSource();
    const watch = new Watch(this.#system, `freeze-${this.#jobs}`);
    const begunMs = performance.now();
    const job = await watch.add(this.#request(publish), 100);
    await delay(Math.max(0, moment * this.#lifeMs - (performance.now() - begunMs)));
    const stopped = this.#host;
    const pid = stopped.child.pid!;
    stopped.child.kill('SIGSTOP');
    const stoppedAtMs = performance.now();
    if (watch.endedAtMs !== null || filesOpen(pid, this.#system.data) === 0) {
      // Too early, or too late: the machine is quicker or slower than it was when that was measured.
      stopped.child.kill('SIGCONT');
      await this.#system.finished(job, END_MS_MAX);
      await this.#measure();
      watch.close();
      return false;
    }
    const seed = await this.#replaceSource();
    const starts = watch.starts;
    const other = this.#nextHost();
    await delay(Math.max(0, LOCK_MS * 1.2 - (performance.now() - stoppedAtMs)));
    if (waking !== 'before') await watch.until(() => watch.starts > starts, END_MS_MAX);
    if (waking === 'during') await delay(this.#random.next() * this.#lifeMs);
    if (waking === 'after') await watch.until(() => false, END_MS_MAX);
    const writtenBefore = bytesSubmitted(pid);
    stopped.child.kill('SIGCONT');
    const letGo = await this.#letsGo(pid);
    const late = bytesSubmitted(pid) - writtenBefore;
    this.#findings.demand(letGo, `${what}: the host that was stopped lets go of the file`);
    await other;
    const end = await this.#system.finished(job, END_MS_MAX);
    watch.close();
    const state = await end.getState();
    this.#findings.demand(state === 'completed', `${what}: the job is completed, not ${state}: ${end.failedReason}`);
    const { host } = (end.returnvalue ?? {}) as Partial<WriteResult>;
    const before = await this.#identity();
    await stopped.end('SIGTERM');
    const after = await this.#identity();
    this.#findings.demand(after === before, `${what}: the file stays as it was completed: ${before}, then ${after}`);
    const { sizeBytes } = this.#settings;
    const right = after.endsWith(contentSha256(seed, sizeBytes));
    const path = this.#system.path(TARGET);
    this.#findings.demand(right, `${what}: the file is right: ${right || (await differenceIn(path, seed, sizeBytes))}`);
    const names = this.#system.names().filter((name) => name !== TARGET);
    this.#findings.demand(names.length === 0, `${what}: nothing lies beside the file: ${names.join(', ')}`);
    // Where the host that was stopped took the job up again itself, its bytes are those of a new attempt.
    const taken = host === this.#hostName;
    if (taken) {
      const promise = `${what}: it submits nothing after it has woken, not ${late} bytes`;
      this.#findings.demand(late <= LATE_BYTES_MAX, promise);
    }
    this.#findings.say(
      `${what}: right, ${taken ? `taken over, ${late} late bytes` : 'taken up again by the same host'}`,
    );
    return true;
  }

  /** Waits until the process has no file of the data root open. */
  async #letsGo(pid: number): Promise<boolean> {
    const deadline = performance.now() + LET_GO_MS_MAX;
    while (filesOpen(pid, this.#system.data) > 0 && performance.now() < deadline) await delay(LOOK_EVERY_MS);
    return filesOpen(pid, this.#system.data) === 0;
  }

  /** Inode, size, time of the last change and bytes of the target. */
  async #identity(): Promise<string> {
    const path = this.#system.path(TARGET);
    const { ino, size, mtimeNs } = statSync(path, { bigint: true });
    return `inode ${ino}, ${size} bytes, changed ${mtimeNs}, ${await sha256File(path)}`;
  }
}

/** Bytes that the process has sent towards a disk so far, counted by the kernel as they are submitted. */
function bytesSubmitted(pid: number): number {
  return Number(/^write_bytes: (\d+)$/m.exec(readFileSync(`/proc/${pid}/io`, 'latin1'))![1]);
}
