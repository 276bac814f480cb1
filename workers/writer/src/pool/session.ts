/**
 * The main thread's end of a writer thread's session: tasks go out and answers come in, each time all of one turn of
 * the event loop in one message.
 *
 * The decision: libs/README.md#task-per-thread.
 */
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { type ShortResult, toWire } from '@penstock/contract';
import type { AskQueue } from '@penstock/sink';
import type { FromWriter, QueueAnswer, ToWriter, WriterAnswer, WriterQuestion, WriterTask } from '../protocol.ts';
import type { WriterDied } from './running.ts';

interface Waiting {
  task: WriterTask;
  resolve: (result: ShortResult) => void;
  reject: (error: unknown) => void;
  /** Its caller's promise was rejected already. */
  left: boolean;
}

/** Tasks that a thread had not answered when it died, each with what its caller waits for. */
export type Unanswered = Pick<Waiting, 'task' | 'reject' | 'left'>;

export interface SessionOptions {
  /** Answers what writes have to ask about other jobs. */
  askQueue: AskQueue;
  /** Called when the thread has answered a task that was left behind: its slot and its rows are free again. */
  onReturn: (task: WriterTask) => void;
  /** Called when the thread has left something to be freed. */
  onFreeing: () => void;
}

export class Session {
  /** The thread's end of the port: to be transferred to it. */
  readonly far: MessagePort;
  readonly #near: MessagePort;
  /** By job slot. */
  readonly #waiting = new Map<number, Waiting>();
  #outgoing: WriterTask[] = [];
  readonly #killing = new AbortController();
  /** Resolves with the thread's first message: it serves this session. */
  readonly ready: Promise<void>;
  isReady = false;
  /** The block of the thread that serves it; -1 until that is up. */
  threadIndex = -1;
  /** Tasks left behind and not yet answered. */
  leftBehind = 0;
  /** Tasks that ended since this was last set to 0. */
  answered = 0;
  readonly #options: SessionOptions;

  constructor(options: SessionOptions) {
    this.#options = options;
    const { port1, port2 } = new MessageChannel();
    this.#near = port1;
    this.far = port2;
    this.ready = new Promise((resolve) => {
      port1.on('message', (message: FromWriter) => {
        if (message === 'frees') {
          options.onFreeing();
        } else if (Array.isArray(message)) {
          this.#takeAnswers(message);
        } else if ('question' in message) {
          void this.#answer(message);
        } else {
          this.isReady = true;
          this.threadIndex = message.threadIndex;
          resolve();
        }
      });
    });
  }

  /** Aborted when the thread shall be terminated. */
  get killed(): AbortSignal {
    return this.#killing.signal;
  }

  /** Has the thread terminated: its tasks end as after any death of it. */
  kill(why: string): void {
    this.#killing.abort(new Error(why));
  }

  /** Tasks not yet answered. */
  get running(): number {
    return this.#waiting.size;
  }

  /**
   * Rejects with the failure as the thread reports it, a WireError: plain data that the queue records as it is. Never
   * settles by itself if the thread dies (see takeUnanswered).
   */
  run(task: WriterTask): Promise<ShortResult> {
    if ('ring' in task) {
      // At once: a producer that ends before would close the port, and one that is closed cannot be transferred.
      this.#near.postMessage([task] satisfies ToWriter, [task.ring.port]);
    } else {
      // In the check phase, when all jobs that one reply of Redis brought have come this far.
      if (this.#outgoing.length === 0) setImmediate(() => this.#send());
      this.#outgoing.push(task);
    }
    return new Promise((resolve, reject) => {
      this.#waiting.set(task.jobSlot, { task, resolve, reject, left: false });
    });
  }

  /** Rejects the task of `jobSlot` with `error` now, whatever the thread still does for it. False if it has ended. */
  leave(jobSlot: number, error: Error): boolean {
    const waiting = this.#waiting.get(jobSlot);
    if (waiting === undefined || waiting.left) return false;
    waiting.left = true;
    this.leftBehind += 1;
    waiting.reject(error);
    return true;
  }

  /** True of a task that was left behind, and not answered yet. */
  isLeft(jobSlot: number): boolean {
    return this.#waiting.get(jobSlot)?.left === true;
  }

  /** The job slots of tasks not yet answered. */
  get slots(): IterableIterator<number> {
    return this.#waiting.keys();
  }

  #send(): void {
    const tasks = this.#outgoing;
    this.#outgoing = [];
    this.#near.postMessage(tasks satisfies ToWriter);
  }

  async #answer({ number, question }: WriterQuestion): Promise<void> {
    let answer: QueueAnswer;
    try {
      answer = { number, answer: await this.#options.askQueue(question) };
    } catch (error) {
      answer = { number, error: toWire(error) };
    }
    this.#near.postMessage(answer satisfies ToWriter); // of no effect if the thread has ended meanwhile
  }

  #takeAnswers(answers: WriterAnswer[]): void {
    for (const answer of answers) {
      const { jobSlot } = answer;
      const waiting = this.#waiting.get(jobSlot);
      if (waiting === undefined) continue; // posted before the thread's death, come after it was dealt with
      this.#waiting.delete(jobSlot);
      this.answered += 1;
      if (waiting.left) this.#return(waiting.task);
      else if (answer.ok) waiting.resolve(answer.result);
      else waiting.reject(answer.error);
    }
  }

  #return(task: WriterTask): void {
    this.leftBehind -= 1;
    this.#options.onReturn(task);
  }

  /** After the thread's death: what it leaves to be cleaned up after and rejected. */
  takeUnanswered(): Unanswered[] {
    const left = [...this.#waiting.values()];
    this.#waiting.clear();
    return left;
  }

  /** Wakes the thread, even if all its writes wait, to look at the words that it shares with this one. */
  wake(): void {
    this.#near.postMessage('wake' satisfies ToWriter);
  }

  /** Lets the thread's task return. */
  end(): void {
    this.#near.postMessage('end' satisfies ToWriter);
  }

  close(): void {
    this.#near.close();
  }
}

/** The `count` sessions with the fewest tasks, the least busy one first. There must be as many. */
export function leastBusyOf(sessions: Iterable<Session>, count: number): Session[] {
  if (count > 1) return [...sessions].toSorted((one, other) => one.running - other.running).slice(0, count);
  let least: Session | undefined;
  for (const session of sessions) if (least === undefined || session.running < least.running) least = session;
  return [least!];
}

/** Tells the callers that their thread died of `cause`; what was left behind is only free again. */
export function rejectAll(unanswered: readonly Unanswered[], cause: Error, free: (task: WriterTask) => void): void {
  const blameless = unanswered.length > 1;
  for (const { task, reject, left } of unanswered) {
    const died = new Error(`the writer thread ended during the write: ${cause.message}`, { cause });
    if (left) free(task);
    else reject(Object.assign(died, { code: 'EWRITERDIED', retryable: true, blameless } as const) satisfies WriterDied);
  }
}
