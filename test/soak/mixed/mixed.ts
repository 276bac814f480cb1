/**
 * Small and large work at once through one host, for as long as is asked for: `npm run soak -- mixed --minutes 60`. Memory
 * of host and Redis is flat after a warm-up, no descriptor, thread or AIO context is more at rest than before, and whole
 * files compare at the end.
 */
import { createHash } from 'node:crypto';
import { existsSync, statSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { WriteQueue } from '@penstock/queue';
import { System, sha256File } from '../../support/system.ts';
import { AioCount } from '../aio-contexts.ts';
import { contentPieces } from '../content.ts';
import type { Findings } from '../findings.ts';
import { COUNTS, MEMORIES, type Vitals, growthBytes, growthBytesMax, readVitals } from './vitals.ts';
import { type Content, MixedWork } from './work.ts';

const MINUTE_MS = 60_000;
const MIB = 1_048_576;
/** Of the whole time; caches, pools and V8's heap come to their size in it, and Redis keeps all the ended jobs it will. */
const WARM_UP_SHARE = 0.25;
const SAMPLES = 400;
const SAMPLE_EVERY_MS_MIN = 500;
/** How often it is said how things are. */
const SAY_EVERY_MS = 60_000;
/** Of less, memory is shown and not judged: V8 and the allocator come to their sizes in the first ten minutes or so. */
const JUDGED_MINUTES_MIN = 30;
/** What work has left open is closed, and what is parked when idle is parked. */
const REST_MS = 3000;
const REST_MS_MAX = 60_000;
const LOOK_EVERY_MS = 250;

export interface MixedSettings {
  seed: number;
  sizeBytes: number;
  minutes: number;
}

export async function soakMixed(settings: MixedSettings, findings: Findings): Promise<void> {
  const aio = new AioCount();
  const system = await System.open();
  const queue = new WriteQueue({ connection: { socketPath: system.redis.socketPath } });
  try {
    const host = await system.host(['--name', 'host', '--threads', '2', '--jobs', '16', '--checkpoint', '8MiB']);
    const soak = new MixedSoak(settings, findings, system, queue, host.child.pid!, await system.redisPid());
    await soak.run();
    const end = await host.end('SIGTERM');
    findings.demand(end === 0, `the host stops well when it is told to, not with ${end}: ${host.said()}`);
  } finally {
    await queue.close();
    await system.close();
  }
  const { wrong, unknown } = await aio.settled();
  findings.demand(wrong === null, `every AIO context is given back: ${wrong}`);
  if (unknown !== null) findings.say(`not judged: ${unknown}`);
}

class MixedSoak {
  readonly #settings: MixedSettings;
  readonly #findings: Findings;
  readonly #system: System;
  readonly #hostPid: number;
  readonly #redisPid: number;
  readonly #work: MixedWork;
  readonly #begunAtMs = performance.now();

  constructor(
    settings: MixedSettings,
    findings: Findings,
    system: System,
    queue: WriteQueue,
    hostPid: number,
    redisPid: number,
  ) {
    this.#settings = settings;
    this.#findings = findings;
    this.#system = system;
    this.#hostPid = hostPid;
    this.#redisPid = redisPid;
    this.#work = new MixedWork(queue, findings, settings);
  }

  async run(): Promise<void> {
    const totalMs = this.#settings.minutes * MINUTE_MS;
    await this.#workFor(totalMs * WARM_UP_SHARE);
    await delay(REST_MS);
    const before = this.#vitals();
    this.#findings.say(`warmed up; at rest: ${vitalsText(before)}`);
    const samples = await this.#workFor(totalMs * (1 - WARM_UP_SHARE));
    const after = await this.#rest(before);
    this.#findings.say(`at rest again: ${vitalsText(after)}`);
    for (const count of COUNTS) {
      const promise = `no more ${count} are held after the work than before: ${after[count]}, then ${before[count]}`;
      this.#findings.demand(after[count] <= before[count], promise);
    }
    this.#judgeMemory(samples);
    await this.#compareFiles();
    const counts = Object.entries(this.#work.counts).map(([name, count]) => `${count} ${name}`);
    this.#findings.say(`${(this.#work.bytes / MIB / 1024).toFixed(1)} GiB: ${counts.join(', ')}`);
  }

  #vitals(): Vitals {
    return readVitals(this.#hostPid, this.#redisPid, performance.now() - this.#begunAtMs);
  }

  /** Works for this long and lets it come to its end; the samples are of while it worked. */
  async #workFor(workMs: number): Promise<Vitals[]> {
    const stopping = new AbortController();
    const working = this.#work.run(stopping);
    const over = working.catch(() => {}); // thrown below
    const samples: Vitals[] = [];
    const everyMs = Math.max(SAMPLE_EVERY_MS_MIN, workMs / SAMPLES);
    const untilMs = performance.now() + workMs;
    let saidAtMs = performance.now();
    while (performance.now() < untilMs && !stopping.signal.aborted) {
      await Promise.race([delay(everyMs), over]);
      samples.push(this.#vitals());
      if (performance.now() - saidAtMs < SAY_EVERY_MS) continue;
      saidAtMs = performance.now();
      this.#findings.say(`${(this.#work.bytes / MIB / 1024).toFixed(1)} GiB written; ${vitalsText(samples.at(-1)!)}`);
    }
    stopping.abort();
    await working;
    return samples;
  }

  /** Waits until nothing more is held than `before`, or for as long as may be. */
  async #rest(before: Vitals): Promise<Vitals> {
    const untilMs = performance.now() + REST_MS_MAX;
    for (;;) {
      await delay(LOOK_EVERY_MS);
      const now = this.#vitals();
      if (COUNTS.every((count) => now[count] <= before[count]) || performance.now() > untilMs) return now;
    }
  }

  #judgeMemory(samples: readonly Vitals[]): void {
    const minutes = (samples.at(-1)!.atMs - samples[0]!.atMs) / MINUTE_MS;
    for (const memory of MEMORIES) {
      const [growth, most] = [growthBytes(samples, memory), growthBytesMax(samples, memory)];
      const text = `${memory}: a growth of ${mebibytes(growth)} MiB in ${minutes.toFixed(1)} minutes, at most ${mebibytes(most)}`;
      this.#findings.say(minutes < JUDGED_MINUTES_MIN ? `${text}; too short to judge` : text);
      if (minutes >= JUDGED_MINUTES_MIN) this.#findings.demand(growth <= most, `memory is flat: ${text}`);
    }
  }

  async #compareFiles(): Promise<void> {
    const { expected } = this.#work;
    let right = 0;
    for (const [path, contents] of expected) {
      const file = this.#system.path(path);
      const isRight = existsSync(file) && (await sha256File(file)) === expectedSha256(contents);
      if (this.#findings.demand(isRight, `${path} holds what was written to it`)) right += 1;
    }
    this.#findings.say(`${right} of ${expected.size} files hold what was written to them`);
    const isFile = (name: string): boolean => statSync(this.#system.path(name)).isFile();
    const others = this.#system.names().filter((name) => !expected.has(name) && isFile(name));
    this.#findings.demand(others.length === 0, `nothing lies beside the files: ${others.join(', ')}`);
  }
}

function expectedSha256(contents: readonly Content[]): string {
  const hash = createHash('sha256');
  for (const { seed, size } of contents) for (const piece of contentPieces(seed, 0, size)) hash.update(piece);
  return hash.digest('hex');
}

const mebibytes = (bytes: number): string => (bytes / MIB).toFixed(1);

const vitalsText = ({ hostRssBytes, redisRssBytes, descriptors, threads, contexts }: Vitals): string =>
  `host ${mebibytes(hostRssBytes)} MiB, ${descriptors} descriptors, ${threads} threads, ${contexts} contexts; Redis ${mebibytes(redisRssBytes)} MiB`;
