/**
 * Which device each root of a host is on, asked as it begins. A root whose file system does not answer in time holds up
 * neither the host nor its other roots: its answer is reported when it comes.
 */
import { Worker } from 'node:worker_threads';
import { hintFor, IoError } from '@penstock/contract';
import type { RootConfig } from '@penstock/disk';

export interface Asked extends Pick<RootConfig, 'name' | 'path'> {
  /** Made if it is missing. */
  isMade: boolean;
}
export type RootAnswer =
  | { name: string; device: number }
  | { name: string; failure: { syscall: string; errno: number; code: string; path: string } };

/** How long a root may take to answer before the next is asked without it. */
const ANSWER_MS_MAX = 1500;

const entry = new URL('../../dist/roots/asker-thread.js', import.meta.url);

/** For tests: as a Worker of the asker's thread. */
export type AskInThread = (roots: readonly Asked[], onAnswer: (answer: RootAnswer) => void) => { end(): void };

/**
 * Asks `roots`. Resolves when each has answered or is late, with the number of its device (st_dev) by name, in the order of
 * the roots, or null if it has not answered yet.
 * @param onLate called for each late root when it answers after all, with its device, or why it cannot be used
 * @throws IoError naming a root that cannot be used
 */
export async function askRoots(
  roots: readonly Asked[],
  onLate: (name: string, answer: number | IoError) => void,
  ask: AskInThread = inThread,
  answerMsMax: number = ANSWER_MS_MAX,
): Promise<Map<string, number | null>> {
  const devices = new Map<string, number | null>(roots.map(({ name }) => [name, null]));
  let isOver = false;
  let failure: IoError | undefined;
  const take = (answer: RootAnswer): void => {
    const result = 'device' in answer ? answer.device : errorOf(answer);
    if (isOver) onLate(answer.name, result);
    else if (typeof result === 'number') devices.set(answer.name, result);
    else failure ??= result;
  };
  let left: readonly Asked[] = roots;
  while (left.length > 0) {
    // Those behind a late one are asked by another thread.
    left = await askInTurn(left, take, ask, answerMsMax);
    if (failure !== undefined) throw failure;
  }
  isOver = true;
  return devices;
}

function errorOf({ name, failure }: Extract<RootAnswer, { failure: object }>): IoError {
  const advice = hintFor(failure.syscall, failure.code) ?? 'Name a directory that this user may enter.';
  return new IoError({ ...failure, hint: `It is the root ${name}. ${advice}` });
}

/** Asks `roots` in one thread; resolves with those that are yet to be asked, once all have answered or one is late. */
function askInTurn(
  roots: readonly Asked[],
  take: (answer: RootAnswer) => void,
  ask: AskInThread,
  answerMsMax: number,
): Promise<readonly Asked[]> {
  return new Promise((resolve) => {
    let answered = 0;
    let timer: NodeJS.Timeout | undefined;
    const over = (left: readonly Asked[]): void => {
      clearTimeout(timer);
      resolve(left);
    };
    const wait = (): void => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        late = answered;
        over(roots.slice(answered + 1));
      }, answerMsMax);
    };
    let late = roots.length;
    const thread = ask(roots, (answer) => {
      answered += 1;
      if (answered - 1 <= late) take(answer); // those behind the late one are asked by another thread
      if (late < roots.length || answered === roots.length || 'failure' in answer) {
        thread.end();
        over([]);
      } else {
        wait();
      }
    });
    wait();
  });
}

let threads = 0;

/** True while a thread waits for a root: the process cannot end but by exitNow(). */
export const isAsking = (): boolean => threads > 0;

function inThread(roots: readonly Asked[], onAnswer: (answer: RootAnswer) => void): { end(): void } {
  const worker = new Worker(entry, { workerData: roots, execArgv: [], env: {} });
  threads += 1;
  worker.once('exit', () => {
    threads -= 1;
  });
  worker.unref();
  worker.on('message', onAnswer);
  return { end: () => void worker.terminate() };
}
