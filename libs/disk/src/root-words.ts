/**
 * Words that a pool's main thread and its writer threads share about its roots: one per root for the mount that it is to
 * be found on, which the main thread writes, then one per thread and root for the descriptor that the thread holds.
 */

/** Wherever the root's path leads is right. */
export const ANY_MOUNT = 0;
/** What was mounted there is gone, and nothing is to be opened in its place. */
export const NO_MOUNT = -1;

export class RootWords {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #roots: number;

  constructor(threads: number, roots: number, buffer?: SharedArrayBuffer) {
    this.buffer = buffer ?? new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT * roots * (1 + threads));
    this.#words = new Int32Array(this.buffer);
    this.#roots = roots;
  }

  /** The id of the mount that the root is to be found on, or ANY_MOUNT, or NO_MOUNT. */
  mount(root: number): number {
    return Atomics.load(this.#words, root);
  }

  /** Main thread: from now on. */
  expect(root: number, mount: number): void {
    Atomics.store(this.#words, root, mount);
  }

  /** A thread: it holds `fd` of the root, or -1 for none. */
  record(thread: number, root: number, fd: number): void {
    Atomics.store(this.#words, this.#at(thread, root), fd + 1);
  }

  /** Main thread, after a thread's end: what it held, forgotten here. */
  take(thread: number): number[] {
    const fds: number[] = [];
    for (let root = 0; root < this.#roots; root += 1) {
      const word = Atomics.exchange(this.#words, this.#at(thread, root), 0);
      if (word > 0) fds.push(word - 1);
    }
    return fds;
  }

  #at(thread: number, root: number): number {
    return this.#roots * (1 + thread) + root;
  }
}
