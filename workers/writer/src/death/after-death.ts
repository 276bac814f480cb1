/**
 * Cleaning up after writer threads that are gone. AIO contexts, descriptors and mappings belong to the process, not to the
 * thread: whatever ends a thread (an exception, terminate(), the pool's own end) leaves them behind. Here they are
 * destroyed and closed, and only then may another thread have the dead one's rows.
 */
import { setTimeout } from 'node:timers/promises';
import { type Worker, isMainThread } from 'node:worker_threads';
import { native } from '@penstock/native';
import { IoError } from '@penstock/contract';
import { type ArenaMemory, type Control, type ThreadBlock, closeRingOf } from '@penstock/matrix';
import type { RootWords } from '@penstock/disk';
import type { WriterTask } from '../protocol.ts';
import type { LeftOpen } from './left-open.ts';
import { Undertaker } from './undertaker.ts';

/** A producer that was copying into a dead thread's rows when it died: a row takes it well under a millisecond. */
const COPY_LOOKS_MAX = 200;
const COPY_LOOK_MS = 5;

/** What the threads of a pool share with it, and leave behind. */
export interface Estate {
  control: Control;
  /** By thread slot. */
  arenas: readonly ArenaMemory[];
  /** Of the streams that run. */
  rings: ReadonlySet<SharedArrayBuffer>;
  rootWords: RootWords;
  /** Called if a context cannot be destroyed. */
  onFailure: (error: Error) => void;
}

export class AfterDeath {
  readonly #estate: Estate;
  /** By threadId of each thread that is not gone yet: resolves once it is, and its context is destroyed. */
  readonly #exits = new Map<number, Promise<void>>();
  readonly #undertaker = new Undertaker();
  #isOrderly = false;

  constructor(estate: Estate) {
    this.#estate = estate;
  }

  /** To be called with all of the pool's threads when there is a new one. */
  watch(threads: readonly Worker[]): void {
    for (const thread of threads) {
      const { threadId } = thread;
      if (threadId > 0 && !this.#exits.has(threadId)) this.#exits.set(threadId, this.#exitOf(thread, threadId));
    }
  }

  /** Resolves when the threads that are none of `running` any more are gone and their contexts destroyed. */
  async deadAreGone(running: readonly Worker[]): Promise<void> {
    const alive = new Set(running.map((thread) => thread.threadId));
    await Promise.all([...this.#exits].filter(([threadId]) => !alive.has(threadId)).map(([, exited]) => exited));
  }

  /** Closes, unmaps and removes what the attempts of a dead thread had open; after deadAreGone(). */
  async closeLeftOpen(tasks: readonly WriterTask[]): Promise<void> {
    if (isMainThread) await this.#undertaker.closeLeftOpen(tasks.map((task) => this.#leftOpenOf(task)));
  }

  /** True while a disk still holds something up. */
  get isBusy(): boolean {
    return this.#undertaker.isBusy;
  }

  /** From now on threads end because the pool does. */
  expectEnds(): void {
    this.#isOrderly = true;
  }

  /** Resolves when all threads are gone and nothing of them is left; they have been asked to end. */
  async close(): Promise<void> {
    await Promise.all(this.#exits.values());
    await this.#undertaker.close();
  }

  async #exitOf(thread: Worker, threadId: number): Promise<void> {
    await new Promise<void>((resolve) => {
      thread.once('exit', () => resolve());
    });
    const { control, rootWords, onFailure } = this.#estate;
    for (let index = 0; index < control.threads; index += 1) {
      const block = control.thread(index);
      if (block.threadId !== threadId) continue;
      // Waits for what is still in flight, so the rows are quiet afterwards. The thread is gone: it is in no reap.
      const result = block.context === 0 || !isMainThread ? 0 : await this.#destroy(block);
      await this.#ringsAreQuiet(index);
      if (result === 0) this.#forgetPages(index);
      const [rootFds, directories] = [rootWords.take(index), rootWords.takeDirectories(index)];
      if (isMainThread) {
        // Else the thread itself has. Roots are open as mere paths, and their closing waits for nothing.
        for (const fd of rootFds) native.close(fd);
        await this.#undertaker.closeDescriptors(directories);
      }
      block.release();
      if (result < 0) onFailure(new IoError({ syscall: 'io_destroy', errno: result }));
    }
    this.#exits.delete(threadId);
  }

  async #destroy({ context, inFlight }: ThreadBlock): Promise<number> {
    // After an orderly end nothing is in flight, and there is nothing to wait for.
    if (this.#isOrderly && inFlight === 0) return native.syscallAio().destroy(context);
    return this.#undertaker.destroy(context);
  }

  /** Closes the rings into a dead thread's rows: its arena is another thread's next. */
  async #ringsAreQuiet(thread: number): Promise<void> {
    for (const control of this.#estate.rings) {
      for (let looks = 0; !closeRingOf(control, thread) && looks < COPY_LOOKS_MAX; looks += 1)
        await setTimeout(COPY_LOOK_MS);
    }
  }

  /** Gives the touched pages of a dead thread's rows back, so that its replacement's do not come on top of them. */
  #forgetPages(index: number): void {
    const { buffer, start, sizeBytes } = this.#estate.arenas[index]!;
    native.madvise(native.addressOf(new Uint8Array(buffer, start)), sizeBytes, native.MADV_DONTNEED);
  }

  /** Which words record what a dead thread's attempt left open. */
  #leftOpenOf(task: WriterTask): LeftOpen {
    const { attemptToken, jobSlot: firstSlot } = task;
    if ('bulk' in task) {
      const { lanes: control, laneCount } = task;
      return { control, threads: 0, jobs: laneCount, firstSlot: 0, slots: laneCount, attemptToken };
    }
    const { buffer: control, threads, jobs } = this.#estate.control;
    return { control, threads, jobs, firstSlot, slots: 1, attemptToken };
  }
}
