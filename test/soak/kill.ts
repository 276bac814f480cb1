/**
 * kill -9 of the host at random moments of a write. Whatever the moment: the next host ends the job with exactly the
 * right bytes, goes on from the last checkpoint, and nothing is left behind.
 */
import { createHash } from 'node:crypto';
import { closeSync, existsSync, openSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { native } from '@penstock/native';
import type { WriteResult } from '@penstock/contract';
import type { Job } from 'bullmq';
import { type HostProcess, System, sha256File } from '../support/system.ts';
import { AioCount } from './aio-contexts.ts';
import { contentPieces, contentSha256, differenceIn, writeContent } from './content.ts';
import type { Findings } from './findings.ts';
import { Seeded } from './seeded.ts';
import { END_MS_MAX, type SoakSettings, hostKnows, hostOptions } from './settings.ts';
import { ContentSources, type SourceKind, refusalOf } from './sources.ts';
import { Watch, filesOpen } from './watch.ts';

/** Atomic and in place a file is replaced; the others change a part of one that stands there. */
export const WAYS = ['atomic', 'in-place', 'overwrite', 'append'] as const;
type Way = (typeof WAYS)[number];

export interface KillSettings extends SoakSettings {
  ways: readonly Way[];
  sources: readonly SourceKind[];
  /** Hosts over the one queue: the one that has the write is killed. */
  hosts: number;
  /** Whether a write that had a checkpoint must go on from it; null: where the host makes checkpoints. */
  resumes: boolean | null;
}

/** Inside a block of any disk, so that its head is read first. */
const OVERWRITE_OFFSET = 4099;
const HOW = {
  atomic: { publish: 'atomic' },
  'in-place': { publish: 'in-place' },
  overwrite: { mode: 'overwrite', offset: OVERWRITE_OFFSET },
  append: { mode: 'append' },
} as const;

const changesPart = (way: Way): boolean => way === 'overwrite' || way === 'append';

/** Of the file that is changed in part: ragged; the one to overwrite ends behind what is written. */
const baseBytes = (way: Way, sizeBytes: number): number => (way === 'append' ? 70_001 : sizeBytes + 1_000_003);
/** Other bytes than any content's. */
const baseSeed = (seed: number): number => seed + 7;

/** How the rows go: swift ones as a large write has them, and slow ones that are met at finer moments. */
const MATRICES = [undefined, { rows: 8, rowBytes: 1_048_576 }, { rows: 1, rowBytes: 65_536 }] as const;
/** A small row in flight: slow enough that its checkpoints are told before its end. */
const SLOW_MATRIX = { rows: 1, rowBytes: 16_384 };
type Matrix = (typeof MATRICES)[number] | typeof SLOW_MATRIX;

/** Two contents in turn: what stands at the target is always another than what is being written. */
const CONTENTS = 2;
/** A moment can fall behind the end of a write that was quicker than the one that was measured: another is drawn then. */
const TRIES_MAX = 16;
const TARGET = 'target.dat';
const CHECKPOINT_TEXT_BYTES = 1024;
/** A write goes on at whole blocks: the one in which a checkpoint ends is written again. */
const BLOCK_BYTES_MAX = 65_536;

interface Trial {
  way: Way;
  kind: SourceKind;
  matrix: Matrix;
  /** When, from 0 (it is added) to 1 (it would end); null: as soon as the first checkpoint is told. */
  moment: number | null;
}

interface Tally {
  kills: number;
  beside: number;
  afterCheckpoint: number;
  resumed: number;
}

export async function soakKill(settings: KillSettings, findings: Findings): Promise<void> {
  const soak = await KillSoak.open(settings, findings);
  try {
    await soak.run();
  } finally {
    await soak.close();
  }
}

class KillSoak {
  readonly #settings: KillSettings;
  readonly #findings: Findings;
  readonly #system: System;
  readonly #sources: ContentSources;
  readonly #random: Seeded;
  readonly #resumes: boolean;
  readonly #aio = new AioCount();
  readonly #lifeMs = new Map<string, number>();
  readonly #tally: Tally = { kills: 0, beside: 0, afterCheckpoint: 0, resumed: 0 };
  /** Those that live. */
  readonly #living: HostProcess[] = [];
  #hosts = 0;
  #jobs = 0;
  /** The content that stands at the target; null where nothing does. */
  #standing: number | null = null;

  private constructor(settings: KillSettings, findings: Findings, system: System, sources: ContentSources) {
    this.#settings = settings;
    this.#findings = findings;
    this.#system = system;
    this.#sources = sources;
    this.#random = new Seeded(settings.seed);
    this.#resumes = settings.resumes ?? hostKnows('--checkpoint');
  }

  static async open(settings: KillSettings, findings: Findings): Promise<KillSoak> {
    const system = await System.open();
    return new KillSoak(settings, findings, system, await ContentSources.open(system));
  }

  async run(): Promise<void> {
    for (let count = 0; count < this.#settings.hosts; count += 1) await this.#startHost();
    const kinds: SourceKind[] = [];
    for (const kind of this.#settings.sources) {
      const refusal = await refusalOf(this.#system, this.#sources, kind);
      if (refusal === null) kinds.push(kind);
      else this.#findings.say(`skipped: source ${kind}: ${refusal}`);
    }
    if (!this.#resumes) this.#findings.say('skipped: resuming, for this host makes no checkpoints');
    const trials = this.#trials(kinds);
    for (const [index, trial] of trials.entries()) {
      await this.#hit(`${index + 1}/${trials.length}`, trial);
    }
    await Promise.all(this.#living.map((host) => host.end('SIGTERM')));
    const { wrong, unknown } = await this.#aio.settled();
    this.#findings.demand(wrong === null, `every AIO context is given back: ${wrong}`);
    if (unknown !== null) this.#findings.say(`not judged: ${unknown}`);
    const { kills, beside, afterCheckpoint, resumed } = this.#tally;
    this.#findings.say(
      `${kills} kills during writes, ${beside} beside one; ${afterCheckpoint} after a checkpoint; ${resumed} resumed`,
    );
  }

  async close(): Promise<void> {
    await this.#system.close();
    await this.#sources.close();
  }

  /** Every publish with every source in turn, each with its moments spread over the whole life of a write. */
  #trials(kinds: SourceKind[]): Trial[] {
    const pairs = this.#settings.ways.flatMap((way) => kinds.map((kind) => ({ way, kind })));
    const each = Math.ceil(this.#settings.trials / Math.max(1, pairs.length));
    const moments = pairs.map(() => this.#random.moments(each));
    return Array.from({ length: this.#settings.trials }, (_, index) => {
      const pair = index % pairs.length;
      const round = Math.floor(index / pairs.length);
      // One in four right after a checkpoint, where there are any: what has no size is begun anew.
      const checkpointed = this.#resumes && round % 4 === 1 && pairs[pair]!.kind !== 'url-unsized';
      const moment = checkpointed ? null : moments[pair]![round]!;
      const matrix = checkpointed ? SLOW_MATRIX : this.#random.pick(MATRICES);
      return { ...pairs[pair]!, moment, matrix };
    });
  }

  async #startHost(): Promise<void> {
    this.#hosts += 1;
    const options = [...hostOptions(`host-${this.#hosts}`), ...this.#sources.hostOptions];
    this.#living.push(await this.#system.host(options));
  }

  /** Tries until the kill met the write while it ran. */
  async #hit(label: string, trial: Trial): Promise<void> {
    for (let tries = 1; tries <= TRIES_MAX; tries += 1) {
      const drawn = tries === 1 || trial.moment === null ? trial.moment : this.#random.next();
      if (await this.#kill(label, { ...trial, moment: drawn })) {
        this.#tally.kills += 1;
        return;
      }
      this.#tally.beside += 1;
      this.#lifeMs.clear(); // the machine is quicker or slower than it was: measured anew
    }
    this.#findings.demand(false, `${label}: a kill meets the write in ${TRIES_MAX} tries`);
  }

  /** What is asked for; what has to stand there for it is put there. */
  async #request({ way, kind, matrix }: Trial, content: number): Promise<object> {
    const { seed, sizeBytes } = this.#settings;
    if (changesPart(way)) {
      this.#system.remove(TARGET);
      await writeContent(this.#system.path(TARGET), baseSeed(seed), baseBytes(way, sizeBytes));
    }
    const bytes = await this.#sources.request(kind, content, sizeBytes);
    return { path: TARGET, ...HOW[way], ...(matrix && { matrix }), ...bytes };
  }

  /** The content that does not stand at the target. */
  get #nextContent(): number {
    return this.#settings.seed + (((this.#standing ?? this.#settings.seed) - this.#settings.seed + 1) % CONTENTS);
  }

  /** How long such a write lives undisturbed, from before it is added to when its end is heard of. */
  async #measure(trial: Trial): Promise<number> {
    const name = JSON.stringify([trial.way, trial.kind, trial.matrix]);
    const known = this.#lifeMs.get(name);
    if (known !== undefined) return known;
    const content = this.#nextContent;
    const request = await this.#request(trial, content);
    const watch = this.#watch();
    const begunMs = performance.now();
    const end = await this.#system.finished(await watch.add(request), END_MS_MAX);
    const lifeMs = performance.now() - begunMs;
    watch.close();
    await this.#judge(`undisturbed ${name}`, end, trial.way, content);
    this.#lifeMs.set(name, lifeMs);
    return lifeMs;
  }

  #watch(): Watch {
    this.#jobs += 1;
    return new Watch(this.#system, `kill-${this.#jobs}`);
  }

  /** One kill; returns whether it met the write. */
  async #kill(label: string, trial: Trial): Promise<boolean> {
    const lifeMs = await this.#measure(trial);
    const content = this.#nextContent;
    const before = this.#standing;
    const request = await this.#request(trial, content);
    const watch = this.#watch();
    const begunMs = performance.now();
    const job = await watch.add(request);
    if (trial.moment === null) await watch.until(() => watch.durableBytesMax > 0, END_MS_MAX);
    else await delay(Math.max(0, trial.moment * lifeMs - (performance.now() - begunMs)));
    const atMs = performance.now() - begunMs;
    await this.#killWriter();
    const recordedBytes = this.#recordedBytes();
    const durableBytes = Math.max(watch.durableBytesMax, recordedBytes);
    const { way, kind, matrix, moment } = trial;
    const shape = matrix === undefined ? 'own rows' : `${matrix.rows}x${matrix.rowBytes}`;
    const when = moment === null ? 'after a checkpoint' : `at ${moment.toFixed(3)}`;
    const what = `kill ${label} ${way} ${kind} ${shape} ${when} (${atMs.toFixed(0)} ms)`;
    if (way === 'atomic') await this.#judgeStanding(what, before, content);
    await this.#startHost();
    const end = await this.#system.finished(job, END_MS_MAX);
    watch.close();
    await this.#judge(what, end, way, content);
    const met = end.attemptsStarted > 1;
    const result = end.returnvalue as WriteResult | null;
    if (met && !this.#judgeResumed(what, durableBytes, recordedBytes, result)) await this.#sayHistory(end);
    const resumed = result?.resumedFrom === undefined ? '' : `, resumed from ${result.resumedFrom}`;
    this.#findings.say(met ? `${what}: taken up, ended right${resumed}` : `${what}: beside the write`);
    return met;
  }

  /** Kills the host that has a file open; any where none has. */
  async #killWriter(): Promise<void> {
    const writer = this.#living.find(({ child }) => filesOpen(child.pid!, this.#system.data) > 0) ?? this.#living[0]!;
    this.#living.splice(this.#living.indexOf(writer), 1);
    await writer.end('SIGKILL');
  }

  /** What the file that the dead host left says of itself: the most that any attempt can go on from. */
  #recordedBytes(): number {
    const bytes = this.#system.names().map((name) => {
      const fd = openSync(this.#system.path(name), 'r');
      const value = new Uint8Array(new ArrayBuffer(CHECKPOINT_TEXT_BYTES));
      const length = native.fgetxattr(fd, 'user.penstock.checkpoint', value);
      closeSync(fd);
      if (length <= 0) return 0;
      const text = Buffer.from(value.buffer, 0, length).toString();
      const { durableBytes, finished } = JSON.parse(text) as { durableBytes: number; finished?: string };
      return finished === undefined ? durableBytes : 0; // else it is the file of an earlier job
    });
    return Math.max(0, ...bytes);
  }

  /** With an atomic publish whoever reads after the kill sees the old file or the new one. */
  async #judgeStanding(what: string, before: number | null, content: number): Promise<void> {
    const path = this.#system.path(TARGET);
    if (!existsSync(path)) {
      this.#findings.demand(before === null, `${what}: the old file is still there after the kill`);
      return;
    }
    const { sizeBytes } = this.#settings;
    const whole = [before, content].filter((seed) => seed !== null).map((seed) => contentSha256(seed, sizeBytes));
    this.#findings.demand(
      whole.includes(await sha256File(path)),
      `${what}: after the kill readers see the old file or the new one, never a part`,
    );
  }

  /** Of a job that has ended: it is completed, the file is right, and nothing lies beside it. */
  async #judge(what: string, end: Job, way: Way, content: number): Promise<void> {
    const { sizeBytes } = this.#settings;
    const path = this.#system.path(TARGET);
    const state = await end.getState();
    const demand = (kept: boolean, promise: string): boolean => this.#findings.demand(kept, `${what}: ${promise}`);
    if (!demand(state === 'completed', `the job is completed, not ${state}: ${end.failedReason}`)) {
      await this.#sayHistory(end);
    }
    const { bytes } = (end.returnvalue ?? {}) as Partial<WriteResult>;
    demand(bytes === sizeBytes, `the result tells ${sizeBytes} bytes, not ${bytes}`);
    if (!existsSync(path)) demand(false, 'the file is there');
    else if ((await sha256File(path)) !== this.#expectedSha256(way, content)) {
      const difference = changesPart(way) ? 'other bytes' : await differenceIn(path, content, sizeBytes);
      demand(false, `the file is right: ${difference}`);
    }
    const names = this.#system.names().filter((name) => name !== TARGET);
    demand(names.length === 0, `nothing lies beside the file: ${names.join(', ')}`);
    this.#standing = changesPart(way) ? null : content;
    if (changesPart(way)) this.#system.remove(TARGET);
  }

  /** Of the whole file. */
  #expectedSha256(way: Way, content: number): string {
    const { seed, sizeBytes } = this.#settings;
    if (!changesPart(way)) return contentSha256(content, sizeBytes);
    const baseEnd = baseBytes(way, sizeBytes);
    const offset = way === 'append' ? baseEnd : OVERWRITE_OFFSET;
    const hash = createHash('sha256');
    for (const piece of contentPieces(baseSeed(seed), 0, offset)) hash.update(piece);
    for (const piece of contentPieces(content, 0, sizeBytes)) hash.update(piece);
    for (const piece of contentPieces(baseSeed(seed), offset + sizeBytes, baseEnd)) hash.update(piece);
    return hash.digest('hex');
  }

  /** What helps to understand a violation. */
  async #sayHistory(job: Job): Promise<void> {
    const { logs } = await this.#system.queue.getJobLogs(job.id!);
    const { attemptsStarted, stalledCounter, processedOn, finishedOn } = job;
    const ran = finishedOn! - processedOn!;
    this.#findings.say(`  attempts ${attemptsStarted}, stalls ${stalledCounter}, the last ran ${ran} ms`);
    for (const line of [...logs, ...this.#living.flatMap((host) => host.said().split('\n'))])
      this.#findings.say(`  ${line}`);
  }

  #judgeResumed(what: string, durableBytes: number, recordedBytes: number, result: WriteResult | null): boolean {
    if (durableBytes > 0) this.#tally.afterCheckpoint += 1;
    const from = result?.resumedFrom ?? 0;
    if (from > 0) this.#tally.resumed += 1;
    if (!this.#resumes || durableBytes === 0) return true;
    return this.#findings.demand(
      from > 0 && from + BLOCK_BYTES_MAX >= recordedBytes,
      `${what}: ${durableBytes} bytes were durable before the kill, and the next attempt went on from there, not from ${from}`,
    );
  }
}
