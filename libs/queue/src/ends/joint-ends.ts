/**
 * The ends of jobs, sent together: all that come in one turn of the event loop, or while Redis is busy with earlier ones,
 * go out in one call of a script, and each caller gets the answer that it would have had alone. Every job is still ended
 * by itself, by BullMQ's own script.
 */
import type { RedisQueueBackend, Worker } from 'bullmq';
import { isDemotion, refusalOf, NOT_PERMITTED } from '../connection/refusals.ts';
import {
  ARGUMENT_COUNT,
  composedScript,
  type DefinedScripts,
  KEY_COUNT,
  OWN_KEYS,
  RESULT_ARGUMENT,
} from './composed-script.ts';

/** In one call: Redis serves nobody else meanwhile, and beyond this no more is gained (INTERNALS.md). */
const ENDS_MAX = 32;
/** Of results in one call, so that a bulk's does not hold up the ends of others. */
const RESULT_CHARS_MAX = 128 * 1024;
/** While so many are under way, ends wait for the next: one that Redis works at, and one that it finds when that is done. */
const CALLS_MAX = 2;
const END_SCRIPT = 'moveToFinished';
/** Refusals that pass by themselves, and are of no script in particular: another's runs for long, the data are loaded. */
const PASSING = /^(?:BUSY|LOADING)\b/;
const COMMAND = 'penstockEndJobs';

/** BullMQ's client, with what ioredis has beneath it. */
interface Client {
  readonly scriptsSet?: DefinedScripts;
  defineCommand(name: string, definition: { lua: string }): void;
  runCommand(name: string, args: unknown[]): Promise<unknown>;
}

type Run = RedisQueueBackend['execCommand'];

/** An end that waits for its call. */
interface End {
  readonly args: unknown[];
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Has the ends of the worker's jobs sent together. `onNote` is called once, with a text for the log, if they have to be
 * sent one by one: this BullMQ is not the one that is known, or Redis does not take the script.
 */
export function joinEnds(worker: Worker, onNote: (text: string) => void): void {
  const backend: RedisQueueBackend = worker.getBackend();
  const ends = new JointEnds(backend.execCommand.bind(backend), onNote);
  backend.execCommand = (client, name, args) => ends.run(client, name, args);
}

class JointEnds {
  readonly #run: Run;
  readonly #onNote: (text: string) => void;
  /** The connection that the script has been defined for; null before the first end. */
  #client: Client | null = null;
  #waiting: End[] = [];
  #callsUnderWay = 0;
  #isOn = true;

  /** `run` has BullMQ's own scripts run. */
  constructor(run: Run, onNote: (text: string) => void) {
    this.#run = run;
    this.#onNote = onNote;
  }

  run(...[client, name, args]: Parameters<Run>): ReturnType<Run> {
    const joins = name === END_SCRIPT && this.#mayJoin(client as unknown as Client, args);
    return joins ? this.#end(args) : this.#run(client, name, args);
  }

  #mayJoin(client: Client, args: readonly unknown[]): boolean {
    if (this.#client === null && this.#isOn) this.#define(client);
    return this.#isOn && client === this.#client && args.length === KEY_COUNT + ARGUMENT_COUNT;
  }

  #define(client: Client): void {
    this.#client = client;
    const script = composedScript(client.scriptsSet);
    if ('why' in script) this.#turnOff(script.why);
    else client.defineCommand(COMMAND, { lua: script.lua });
  }

  #end(args: unknown[]): Promise<unknown> {
    // The check phase of this turn: by then all have come that the threads answered together.
    if (this.#waiting.length === 0) setImmediate(() => this.#send());
    return new Promise((resolve, reject) => {
      this.#waiting.push({ args, resolve, reject });
    });
  }

  #send(): void {
    const ends = this.#waiting;
    let from = 0;
    while (from < ends.length && this.#callsUnderWay < CALLS_MAX) {
      const to = this.#callEnd(ends, from);
      void this.#call(ends.slice(from, to));
      from = to;
    }
    this.#waiting = ends.slice(from);
  }

  async #call(ends: readonly End[]): Promise<void> {
    this.#callsUnderWay += 1;
    await (ends.length === 1 ? this.#sendAlone(ends[0]!) : this.#sendTogether(ends));
    this.#callsUnderWay -= 1;
    if (this.#waiting.length > 0) this.#send();
  }

  /** Up to which of `ends` one call goes that begins with the one at `from`. */
  #callEnd(ends: readonly End[], from: number): number {
    let chars = 0;
    let to = from;
    for (; to < ends.length && to - from < ENDS_MAX; to += 1) {
      chars += String(ends[to]!.args[KEY_COUNT + RESULT_ARGUMENT]).length;
      if (to > from && chars > RESULT_CHARS_MAX) break;
    }
    return to;
  }

  /** Never rejects. */
  #sendAlone({ args, resolve, reject }: End): Promise<void> {
    return this.#alone(args).then(resolve, reject);
  }

  async #alone(args: unknown[]): Promise<unknown> {
    return this.#run(this.#client as unknown as Parameters<Run>[0], END_SCRIPT, args);
  }

  async #sendTogether(ends: readonly End[]): Promise<void> {
    let answers: unknown[];
    try {
      answers = (await this.#client!.runCommand(COMMAND, argumentsOf(ends))) as unknown[];
    } catch (error) {
      this.#refused(ends, error as Error);
      return;
    }
    for (const [index, end] of ends.entries()) {
      const answer = answers[index];
      if (!(answer instanceof Error)) end.resolve(answer);
      // By a call of its own, the client learns of it too, and connects anew; nothing was done.
      else if (isDemotion(answer)) void this.#sendAlone(end);
      else end.reject(answer);
    }
  }

  /**
   * Redis refused the whole call, or there was no answer. A refusal may be of this script alone: then each end is sent by
   * itself, which gets its own answer, and if one is accepted so are all that follow, unless the refusal passes.
   */
  #refused(ends: readonly End[], error: Error): void {
    const refusal = refusalOf(error);
    const isAnswer = error.name === 'ReplyError';
    if (!isAnswer || (refusal !== null && refusal !== NOT_PERMITTED)) {
      for (const { reject } of ends) reject(error);
      return;
    }
    for (const end of ends) void this.#tryAlone(end, error.message);
  }

  async #tryAlone({ args, resolve, reject }: End, refused: string): Promise<void> {
    try {
      resolve(await this.#alone(args));
      if (!PASSING.test(refused)) this.#turnOff(refused);
    } catch (error) {
      reject(error);
    }
  }

  #turnOff(why: string): void {
    if (!this.#isOn) return;
    this.#isOn = false;
    this.#onNote(noteOf(why));
  }
}

const noteOf = (why: string): string =>
  `ends of jobs are sent to Redis one by one, which costs more but changes nothing else: ${why}`;

/** The keys of the first end and the own ones of each other, then the arguments of each. */
function argumentsOf(ends: readonly End[]): unknown[] {
  const args: unknown[] = [KEY_COUNT + (ends.length - 1) * OWN_KEYS.length];
  for (const [index, { args: given }] of ends.entries()) {
    if (index === 0) for (let at = 0; at < KEY_COUNT; at += 1) args.push(given[at]);
    else for (const at of OWN_KEYS) args.push(given[at]);
  }
  for (const { args: given } of ends) for (let at = KEY_COUNT; at < given.length; at += 1) args.push(given[at]);
  return args;
}
