/**
 * kill -9 of Redis at random moments, while large files are written and small ones are added all the time. No job whose
 * addition was acknowledged is lost, each ends completed, and no file holds other bytes than were asked for.
 */
import { readFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { System, sha256File } from '../support/system.ts';
import { contentSha256 } from './content.ts';
import type { Findings } from './findings.ts';
import { Seeded } from './seeded.ts';
import { END_MS_MAX, type SoakSettings, hostOptions } from './settings.ts';

const SMALL_BYTES_MAX = 100_000;
/** Until it is judged: of completed jobs a queue keeps the last thousand. */
const KEPT = { removeOnComplete: false, removeOnFail: false };
/** Between two small ones: a producer that does other things too. */
const ADD_EVERY_MS_MAX = 10;
/** So many more are acknowledged after Redis has come back before a round comes to its end. */
const AFTERWARDS = 5;
const MATRICES = [
  { rows: 8, rowBytes: 1_048_576 },
  { rows: 1, rowBytes: 65_536 },
  { rows: 1, rowBytes: 16_384 },
];

interface Asked {
  path: string;
  seed: number;
  size: number;
  acknowledged: boolean;
}

export async function soakRedis(settings: SoakSettings, findings: Findings): Promise<void> {
  const system = await System.open();
  try {
    await system.host(hostOptions('host'));
    const soak = new RedisSoak(settings, findings, system);
    await soak.run();
  } finally {
    await system.close();
  }
}

class RedisSoak {
  readonly #settings: SoakSettings;
  readonly #findings: Findings;
  readonly #system: System;
  readonly #random: Seeded;
  #asked: Asked[] = [];
  #jobs = 0;
  #acknowledged = 0;
  #refused = 0;

  constructor(settings: SoakSettings, findings: Findings, system: System) {
    this.#settings = settings;
    this.#findings = findings;
    this.#system = system;
    this.#random = new Seeded(settings.seed);
  }

  async run(): Promise<void> {
    const { trials } = this.#settings;
    const lifeMs: number[] = [];
    for (const matrix of MATRICES) {
      const begunMs = performance.now();
      await this.#add(this.#settings.sizeBytes, matrix);
      await this.#judge('undisturbed');
      lifeMs.push(performance.now() - begunMs);
    }
    for (const [index, moment] of this.#random.moments(trials).entries()) {
      const shape = this.#random.between(0, MATRICES.length);
      await this.#round(`Redis killed ${index + 1}/${trials}`, MATRICES[shape]!, moment * lifeMs[shape]!);
    }
    this.#findings.say(
      `${trials} kills of Redis; ${this.#acknowledged} jobs acknowledged, all judged; ${this.#refused} not acknowledged`,
    );
  }

  async #round(what: string, matrix: object, killAtMs: number): Promise<void> {
    const killed = { done: false };
    const pid = await this.#system.redisPid();
    const begunMs = performance.now();
    const adding = this.#addSmall(killed);
    await this.#add(this.#settings.sizeBytes, matrix);
    await delay(Math.max(0, killAtMs - (performance.now() - begunMs)));
    process.kill(pid, 'SIGKILL');
    killed.done = true;
    await adding;
    const { length } = this.#asked;
    const refused = this.#asked.filter(({ acknowledged }) => !acknowledged).length;
    await this.#judge(what);
    this.#findings.say(`${what} at ${killAtMs.toFixed(0)} ms: ${length} jobs ended right, ${refused} not acknowledged`);
  }

  async #addSmall(killed: { done: boolean }): Promise<void> {
    let afterwards = 0;
    while (afterwards < AFTERWARDS) {
      const { done } = killed;
      const acknowledged = await this.#add(this.#random.between(0, SMALL_BYTES_MAX));
      if (done && acknowledged) afterwards += 1;
      await delay(this.#random.between(0, ADD_EVERY_MS_MAX));
    }
  }

  /** Returns whether the addition was acknowledged. */
  async #add(size: number, matrix?: object): Promise<boolean> {
    this.#jobs += 1;
    const seed = this.#settings.seed + (matrix === undefined ? this.#jobs : 0);
    const asked = { path: `job-${this.#jobs}`, seed, size, acknowledged: false };
    this.#asked.push(asked);
    const source = { kind: 'pattern', pattern: 'random', seed };
    try {
      await this.#system.add(
        { path: asked.path, size, source, ...(matrix && { matrix }) },
        { jobId: asked.path, ...KEPT },
      );
      asked.acknowledged = true;
      this.#acknowledged += 1;
    } catch {
      this.#refused += 1; // it may have been added all the same: then its file must be right as well
    }
    return asked.acknowledged;
  }

  /** Waits for the end of all that was asked for, compares the files, and removes them. */
  async #judge(what: string): Promise<void> {
    for (const { path, seed, size, acknowledged } of this.#asked) {
      const job = await this.#system.queue.getJob(path);
      if (job === undefined) {
        this.#findings.demand(!acknowledged, `${what}: ${path} was acknowledged and is not lost`);
        continue;
      }
      const end = await this.#system.finished(job, END_MS_MAX).catch((error: unknown) => String(error));
      const state = typeof end === 'string' ? end : await end.getState();
      const reason = typeof end === 'string' ? '' : (end.failedReason ?? '');
      if (!this.#findings.demand(state === 'completed', `${what}: ${path} ends completed, not ${state} ${reason}`))
        continue;
      this.#findings.demand(await this.#isRight(path, seed, size), `${what}: ${path} holds what was asked for`);
      this.#system.remove(path);
    }
    const names = this.#system.names();
    this.#findings.demand(names.length === 0, `${what}: nothing else lies there: ${names.join(', ')}`);
    for (const name of names) this.#system.remove(name); // told once
    this.#asked = [];
  }

  async #isRight(path: string, seed: number, size: number): Promise<boolean> {
    const file = this.#system.path(path);
    if (size > SMALL_BYTES_MAX) return (await sha256File(file)) === contentSha256(seed, size);
    return createHash('sha256').update(readFileSync(file)).digest('hex') === contentSha256(seed, size);
  }
}
