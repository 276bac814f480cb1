/**
 * Memory that a pool's main thread and its writer threads share about its roots; INTERNALS.md lists the words.
 *
 * Each word has one writer, is written whole and implies nothing about any other word: so no order between words matters, and
 * an atomic store and load are enough.
 */

/** Any mount is right. */
export const ANY_MOUNT = 0;
/** What was mounted there is gone: nothing is to be opened in its place. */
export const NO_MOUNT = -1;

/** The words, by root, and by thread and root. */
export class RootWords {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #roots: number;

  /** @param buffer the same as another thread's; if absent, it is made with all words 0 */
  constructor(threads: number, roots: number, buffer?: SharedArrayBuffer) {
    this.buffer = buffer ?? new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT * roots * (1 + threads));
    this.#words = new Int32Array(this.buffer);
    this.#roots = roots;
  }

  /** The id of the mount that the root is expected on, or ANY_MOUNT, or NO_MOUNT. */
  mount(root: number): number {
    return Atomics.load(this.#words, root);
  }

  /** Called by the main thread: from now on the root is expected on `mount`. */
  expect(root: number, mount: number): void {
    Atomics.store(this.#words, root, mount);
  }

  /** Called by a writer thread: it has the root open as `fd`, or not at all (-1). */
  record(thread: number, root: number, fd: number): void {
    Atomics.store(this.#words, this.#at(thread, root), fd + 1);
  }

  /** Called by the main thread after a writer thread's end: the descriptors that it left open; their words become 0. */
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
