/**
 * Attempts that die at a step of their write, and the next attempt, which must end exactly right: whole files compared,
 * no part left, permissions kept.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { WireError, WriteRequestInput, WriteResult } from '@penstock/contract';
import { ContentServer } from '../soak/served.ts';
import { CHECKPOINT_BYTES, type Case } from './cases.ts';
import { Ground, type Trial, judgeEnd, judgeStanding } from './ground.ts';

// Compiled code of the soak lies one level deeper, below dist.
const room = new URL(import.meta.url.includes('/test/dist/') ? '../../' : '../', import.meta.url);
const scratch = fileURLToPath(new URL('../.cache/scratch/', room));
const attemptEntry = fileURLToPath(new URL('steps/attempt.mjs', room));
export const killAtEntry: string = new URL('steps/kill-at.mjs', room).href;

/** A call that a writer thread makes, counted from the first lock on. */
export interface Step {
  call: string;
  nth: number;
}

export const stepName = ({ call, nth }: Step): string => `${call} #${nth}`;

/** What a process that is preloaded with kill-at.mjs is told: where to die, and where to write that, or all steps. */
export const stepsEnv = (step: Step | null, log: string): Record<string, string> => ({
  PENSTOCK_STEPS: JSON.stringify({ ...step, log }),
});

type Outcome = { result: WriteResult } | { error: WireError };

/** A process that makes attempts. */
class Attempts {
  readonly child: ChildProcess;
  readonly #exited: Promise<unknown>;
  readonly #ready: Promise<unknown>;
  #asked = 0;

  constructor(pool: object, preloaded?: Record<string, string>) {
    const execArgv = preloaded === undefined ? [] : ['--import', killAtEntry];
    this.child = fork(attemptEntry, [JSON.stringify(pool)], { execArgv, env: { ...process.env, ...preloaded } });
    this.child.setMaxListeners(50);
    this.#exited = once(this.child, 'exit');
    this.#ready = once(this.child, 'message');
  }

  /** How one attempt ended; null where the process did. */
  async make(request: WriteRequestInput, jobName: string, starts: number): Promise<Outcome | null> {
    if ((await Promise.race([this.#ready, this.#exited.then(() => null)])) === null) {
      throw new Error('a process that makes attempts did not start');
    }
    this.#asked += 1;
    const id = this.#asked;
    const answered = new Promise<Outcome>((resolve) => {
      const listen = (message: { id: number } & Outcome): void => {
        if (message.id !== id) return;
        this.child.off('message', listen);
        resolve(message);
      };
      this.child.on('message', listen);
    });
    this.child.send({ id, request, jobName, starts });
    return Promise.race([answered, this.#exited.then(() => null)]);
  }

  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.#exited;
  }

  async end(): Promise<void> {
    this.child.send('end');
    await this.#exited;
  }
}

/** What one trial came to. */
export interface Verdict {
  /** Steps that a process died at; an attempt may end before it gets to one, and is not reported then. */
  met: Step[];
  /** What was not as it must be. */
  wrong: string[];
}

export class StepTrials {
  readonly #home: string;
  readonly #ground: Ground;
  readonly #server: ContentServer;
  readonly #pool: object;
  /** Makes the attempts that are to end. */
  readonly #resident: Attempts;
  #trials = 0;

  private constructor(home: string, server: ContentServer) {
    this.#home = home;
    const [data, sources] = [join(home, 'data'), join(home, 'sources')];
    mkdirSync(data);
    mkdirSync(sources);
    this.#ground = new Ground(data, sources, server);
    this.#server = server;
    this.#pool = {
      threads: 1,
      depth: 16,
      jobs: 4,
      memoryBytes: 4_194_304,
      engine: 'auto',
      checkpointBytes: CHECKPOINT_BYTES,
      roots: [
        { name: 'data', path: data, writable: true },
        { name: 'sources', path: sources, writable: false },
      ],
    };
    this.#resident = new Attempts(this.#pool);
  }

  static async open(): Promise<StepTrials> {
    mkdirSync(scratch, { recursive: true });
    const server = await ContentServer.open();
    return new StepTrials(mkdtempSync(join(scratch, 'steps-')), server);
  }

  async close(): Promise<void> {
    await this.#resident.end();
    await this.#server.close();
    rmSync(this.#home, { recursive: true, force: true });
  }

  /** An attempt that has all done and dies before anybody hears of it, and its steps in turn. */
  async live(of: Case): Promise<Verdict & { steps: Step[] }> {
    const trial = this.#prepare(of);
    const log = join(this.#home, `${trial.name}.log`);
    const process = new Attempts(this.#pool, stepsEnv(null, log));
    const outcome = await process.make(trial.request, trial.name, 1);
    await process.kill();
    const wrong = outcome !== null && 'error' in outcome ? [`undisturbed: ${outcome.error.message}`] : [];
    const counts = new Map<string, number>();
    const steps = readFileSync(log, 'latin1')
      .split('\n')
      .slice(0, -1)
      .map((call) => {
        const nth = (counts.get(call) ?? 0) + 1;
        counts.set(call, nth);
        return { call, nth };
      });
    rmSync(log);
    wrong.push(...(await this.#judge(of, trial, 2)));
    return { steps, met: [], wrong };
  }

  /** An attempt that dies at each of `steps`, one attempt after the other. */
  async kill(of: Case, steps: readonly Step[]): Promise<Verdict> {
    const trial = this.#prepare(of);
    const log = join(this.#home, `${trial.name}.log`);
    const met: Step[] = [];
    const wrong: string[] = [];
    for (const [index, step] of steps.entries()) {
      const process = new Attempts(this.#pool, stepsEnv(step, log));
      const outcome = await process.make(trial.request, trial.name, index + 1);
      await process.kill();
      if (existsSync(log)) met.push(step);
      rmSync(log, { force: true });
      if (outcome !== null && 'error' in outcome) wrong.push(`attempt ${index + 1}: ${outcome.error.message}`);
      wrong.push(...judgeStanding(of, trial));
    }
    wrong.push(...(await this.#judge(of, trial, steps.length + 1)));
    return { met, wrong };
  }

  #prepare(of: Case): Trial {
    this.#trials += 1;
    return this.#ground.prepare(`trial-${this.#trials}`, of);
  }

  /** The attempt that is to end, and what it leaves. */
  async #judge({ size }: Case, trial: Trial, starts: number): Promise<string[]> {
    const wrong: string[] = [];
    const outcome = await this.#resident.make(trial.request, trial.name, starts);
    if (outcome === null) throw new Error('the process that makes the last attempts has ended');
    if ('error' in outcome) wrong.push(`attempt ${starts}: ${outcome.error.message}`);
    else if (outcome.result.bytes !== size) wrong.push(`it tells ${outcome.result.bytes} bytes`);
    return [...wrong, ...judgeEnd(trial)];
  }
}
