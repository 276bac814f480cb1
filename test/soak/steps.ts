/**
 * Hosts that die at named steps of their writes, several over one queue. In each trial some writes of all kinds are added
 * at once, two appends to one file among them, and a bulk. Two hosts take them that are to die, each at a step of its own,
 * in this trial or a later one, and one that is not; that one is killed now and then as soon as the queue has the end of
 * the last write. Every job must have ended right.
 */
import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Job } from 'bullmq';
import type { WriteResult } from '@penstock/contract';
import { randomBytes } from '../support/expected-bytes.ts';
import { type Case, allCases, nameOf } from '../steps/cases.ts';
import { Ground, type Trial, judgeEnd, judgeStanding } from '../steps/ground.ts';
import { type Step, killAtEntry, stepName, stepsEnv } from '../steps/trials.ts';
import { type HostProcess, System } from '../support/system.ts';
import type { Findings } from './findings.ts';
import { Seeded } from './seeded.ts';
import { ContentServer } from './served.ts';
import { END_MS_MAX, LOCK_MS, type SoakSettings } from './settings.ts';

/** Trials at once, each with a queue and a directory of its own: most of one is waiting for a lock to run out. */
const LANES = 2;
const JOBS = 4;
const ARMED_HOSTS = 2;
/** The smallest that a host takes; the large writes are several of it. */
const CHECKPOINT = '1MiB';
/** A multiple of any disk's blocks as it is asked for, or not; or small. */
const sizesOf = (sizeBytes: number): number[] => [sizeBytes, sizeBytes + 1001, 10_007];
/** Of the files of a bulk, and how many there are. */
const BULK_BYTES = 4097;
const BULK_FILES = 24;
const SHARED_BYTES = [300, 70_001, 1_573_865] as const;

/** Calls to die at, and how often at most each is made in a host's share of a trial. */
const CALLS: Readonly<Record<string, number>> = {
  fcntl: 4,
  fsetxattr: 10,
  fremovexattr: 1,
  fallocate: 3,
  io_submit: 40,
  io_getevents: 40,
  ftruncate: 4,
  fchmod: 2,
  renameat: 2,
  renameat2: 2,
  unlinkat: 1,
  close: 6,
  postMessage: 12,
  sayCompleted: 3,
};

interface Tally {
  writes: number;
  deaths: number;
  calls: Set<string>;
}

/** All that chance decides of a trial. */
interface Plan {
  label: string;
  cases: Case[];
  /** Seeds and sizes of what is appended to one file. */
  appended: { seed: number; size: number }[];
  /** Of the hosts that are begun in it, where others have died. */
  steps: Step[];
  endsSteady: boolean;
}

export async function soakSteps(settings: SoakSettings, findings: Findings): Promise<void> {
  const { seed, trials, sizeBytes } = settings;
  const plans = plansOf(new Seeded(seed), trials, sizesOf(sizeBytes));
  const tally: Tally = { writes: 0, deaths: 0, calls: new Set() };
  const lanes = Array.from({ length: LANES }, async (_, lane) => {
    const soak = await StepSoak.open(findings, tally);
    try {
      for (let index = lane; index < plans.length; index += LANES) await soak.run(plans[index]!);
    } finally {
      await soak.close();
    }
  });
  await Promise.all(lanes);
  const { writes, deaths, calls } = tally;
  findings.say(`${trials} trials: ${writes} writes, ${deaths} hosts died at ${calls.size} kinds of steps`);
}

function plansOf(random: Seeded, trials: number, sizes: readonly number[]): Plan[] {
  const all: Case[] = [];
  return Array.from({ length: trials }, (_, index) => {
    // In turn: each way, source and check comes equally often.
    while (all.length < JOBS) all.push(...allCases(random));
    const cases = all.splice(0, JOBS);
    for (const each of cases) each.size = random.pick(sizes);
    const appended = [0, 1].map(() => ({ seed: random.between(1, 1_000_000), size: random.pick(SHARED_BYTES) }));
    const steps = Array.from({ length: ARMED_HOSTS }, () => {
      const call = random.pick(Object.keys(CALLS));
      return { call, nth: random.between(1, CALLS[call]! + 1) };
    });
    return { label: `${index + 1}/${trials}`, cases, appended, steps, endsSteady: random.next() < 0.25 };
  });
}

class StepSoak {
  readonly #findings: Findings;
  readonly #tally: Tally;
  readonly #system: System;
  readonly #server: ContentServer;
  readonly #ground: Ground;
  readonly #sources: string;
  #hosts = 0;
  /** The host that does not die at a step. */
  #steady: HostProcess | null = null;
  /** Those that live and are to. */
  readonly #armed = new Set<HostProcess>();
  /** Of this trial. */
  #deaths: string[] = [];

  private constructor(findings: Findings, tally: Tally, system: System, server: ContentServer) {
    this.#findings = findings;
    this.#tally = tally;
    this.#system = system;
    this.#server = server;
    this.#sources = join(system.home, 'sources');
    mkdirSync(this.#sources);
    this.#ground = new Ground(system.data, this.#sources, server);
  }

  static async open(findings: Findings, tally: Tally): Promise<StepSoak> {
    return new StepSoak(findings, tally, await System.open(), await ContentServer.open());
  }

  async close(): Promise<void> {
    await this.#system.close();
    await this.#server.close();
  }

  #startHost(load: readonly string[], env: Record<string, string> = {}): Promise<HostProcess> {
    this.#hosts += 1;
    const options = ['--name', `host-${this.#hosts}`, '--lock-duration', `${LOCK_MS}`, '--checkpoint', CHECKPOINT];
    options.push('--root', `sources=${this.#sources}:ro`, '--url-allow', '127.0.0.1/32', ...load);
    return this.#system.host(options, [], env);
  }

  /** A host that is to die at `step`; it writes that down before it does. */
  async #arm(step: Step): Promise<void> {
    const log = join(this.#system.home, `died-${randomUUID()}`);
    const env = { ...stepsEnv(step, log), NODE_OPTIONS: `--import ${killAtEntry}` };
    const noteDeath = (): boolean => {
      if (!existsSync(log)) return false;
      rmSync(log);
      this.#deaths.push(stepName(step));
      this.#tally.calls.add(step.call);
      return true;
    };
    let host: HostProcess;
    try {
      host = await this.#startHost(['--threads', '2', '--jobs', '2'], env);
    } catch (error) {
      // A host that starts looks after what others have left, and may come to its step before it is ready.
      if (noteDeath()) return;
      throw error;
    }
    this.#armed.add(host);
    host.child.once('exit', () => {
      this.#armed.delete(host);
      noteDeath();
    });
  }

  async run({ label, cases, appended, steps, endsSteady }: Plan): Promise<void> {
    this.#deaths = [];
    // The one that lives takes one write at a time: most go to those that die.
    this.#steady ??= await this.#startHost(['--threads', '1', '--jobs', '1']);
    await Promise.all(steps.slice(this.#armed.size).map((step) => this.#arm(step)));
    const name = `t${label.replace('/', '-')}`;
    const trials = cases.map((of, index) => this.#ground.prepare(`${name}-${index}`, of));
    const shared = this.#prepareShared(name, appended);
    const requests: object[] = [...trials.map(({ request }) => request), ...shared.requests];
    const bulk = this.#prepareBulk(name);
    requests.push(bulk.request);
    const jobs = await Promise.all(requests.map((request) => this.#system.add(request)));
    const ends = await Promise.all(jobs.map((job) => this.#system.finished(job, END_MS_MAX)));
    if (endsSteady) {
      await this.#steady.end('SIGKILL');
      this.#steady = null;
    }
    const deaths = [...this.#deaths];
    // None came to its step: others are drawn.
    if (deaths.length === 0) await Promise.all([...this.#armed].map((host) => host.end('SIGKILL')));
    const what = `steps ${label}, hosts dead at ${deaths.join(' and ') || 'none'}`;
    const ran: string[] = [];
    for (const [index, of] of cases.entries()) {
      ran.push(nameOf(of));
      await this.#judge(`${what}: ${nameOf(of)}`, ends[index]!, of, trials[index]!);
    }
    for (const [index, { size }] of appended.entries()) {
      await this.#judgeJob(`${what}: an append beside another`, ends[cases.length + index]!, size);
    }
    this.#judgeShared(what, shared);
    await this.#judgeJob(`${what}: a bulk`, ends.at(-1)!, BULK_FILES * BULK_BYTES);
    this.#judgeBulk(what, bulk.directory);
    this.#tally.writes += jobs.length;
    this.#tally.deaths += deaths.length;
    const attempts = ends.map(({ attemptsStarted }) => attemptsStarted).join(' ');
    this.#findings.say(`${what}: ${ran.map((each) => each.replace(/, seed.*/, '')).join('; ')}; attempts ${attempts}`);
  }

  async #judge(what: string, end: Job, of: Case, trial: Trial): Promise<void> {
    await this.#judgeJob(what, end, of.size);
    const wrong = [...judgeStanding(of, trial), ...judgeEnd(trial)];
    this.#findings.demand(wrong.length === 0, `${what}: the file is right: ${wrong.join('; ')}`);
  }

  async #judgeJob(what: string, end: Job, size: number): Promise<void> {
    const state = await end.getState();
    this.#findings.demand(state === 'completed', `${what}: the job is completed, not ${state}: ${end.failedReason}`);
    const { bytes } = (end.returnvalue ?? {}) as Partial<WriteResult>;
    this.#findings.demand(bytes === size, `${what}: the result tells ${size} bytes, not ${bytes}`);
  }

  /** A job of small files, each of which is created once. */
  #prepareBulk(name: string): { directory: string; request: object } {
    const files = Array.from({ length: BULK_FILES }, (_, index) => ({
      path: `${name}-bulk/${index}`,
      source: { kind: 'pattern', pattern: 'random', seed: index },
    }));
    return { directory: this.#system.path(`${name}-bulk`), request: { mode: 'create', size: BULK_BYTES, files } };
  }

  #judgeBulk(what: string, directory: string): void {
    const isRight = (name: string): boolean =>
      readFileSync(join(directory, name)).equals(randomBytes(Number(name), BULK_BYTES));
    const names = existsSync(directory) ? readdirSync(directory) : [];
    const right = names.filter((name) => /^\d+$/.test(name) && isRight(name)).length;
    const promise = `${what}: all ${BULK_FILES} files of a bulk are right and alone: ${right} of ${names.length}`;
    this.#findings.demand(right === BULK_FILES && names.length === right, promise);
    rmSync(directory, { recursive: true, force: true });
  }

  #prepareShared(name: string, appended: Plan['appended']): Shared {
    const directory = this.#system.path(`${name}-shared`);
    mkdirSync(directory);
    const base = randomBytes(7, 5003);
    writeFileSync(join(directory, 'log'), base);
    const requests = appended.map(({ seed, size }) => ({
      path: `${name}-shared/log`,
      mode: 'append',
      size,
      source: { kind: 'pattern', pattern: 'random', seed },
    }));
    return { directory, base, contents: appended.map(({ seed, size }) => randomBytes(seed, size)), requests };
  }

  /** In whatever order they came, each stands there once, whole. */
  #judgeShared(what: string, { directory, base, contents }: Shared): void {
    const found = readFileSync(join(directory, 'log'));
    const [first, second] = contents as [Buffer, Buffer];
    const isRight = [
      [base, first, second],
      [base, second, first],
    ].some((parts) => found.equals(Buffer.concat(parts)));
    const beside = readdirSync(directory).filter((entry) => entry !== 'log');
    const sizes = [base, ...contents].map(({ length }) => length).join(' + ');
    const promise = `${what}: each of two appends stands in its file once: ${found.length} bytes, of ${sizes}`;
    this.#findings.demand(isRight, promise);
    this.#findings.demand(
      beside.length === 0,
      `${what}: nothing lies beside what is appended to: ${beside.join(', ')}`,
    );
    rmSync(directory, { recursive: true });
  }
}

interface Shared {
  directory: string;
  base: Buffer;
  contents: Buffer[];
  requests: object[];
}
