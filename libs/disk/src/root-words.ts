/**
 * Memory that a pool's main thread and its writer threads share about its roots, and the directories that are open below them;
 * INTERNALS.md lists the words.
 *
 * Each word has one writer, is written whole and implies nothing about any other word: so no order between words matters, and
 * an atomic store and load are enough.
 */

/** Any mount is right. */
export const ANY_MOUNT = 0;
/** What was mounted there is gone: nothing is to be opened in its place. */
export const NO_MOUNT = -1;

/** Directories below its roots that a thread may have recorded at once: one for each that its writes share. */
export const DIRECTORIES_MAX = 16;

/** The words, by root, and by thread and root or directory. */
export class RootWords {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #roots: number;

  /** @param buffer the same as another thread's; if absent, it is made with all words 0 */
  constructor(threads: number, roots: number, buffer?: SharedArrayBuffer) {
    const count = roots + threads * (roots + DIRECTORIES_MAX);
    this.buffer = buffer ?? new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT * count);
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

  /**
   * Called by a writer thread: a directory that several of its writes use is open as `fd`, or not at all (-1).
   * @param place below DIRECTORIES_MAX
   */
  recordDirectory(thread: number, place: number, fd: number): void {
    Atomics.store(this.#words, this.#at(thread, this.#roots + place), fd + 1);
  }

  /** Called by the main thread after a writer thread's end: the roots that it left open; their words become 0. */
  take(thread: number): number[] {
    return this.#take(thread, 0, this.#roots);
  }

  /** The same of directories below them. */
  takeDirectories(thread: number): number[] {
    return this.#take(thread, this.#roots, this.#roots + DIRECTORIES_MAX);
  }

  #take(thread: number, from: number, to: number): number[] {
    const fds: number[] = [];
    for (let index = from; index < to; index += 1) {
      const word = Atomics.exchange(this.#words, this.#at(thread, index), 0);
      if (word > 0) fds.push(word - 1);
    }
    return fds;
  }

  #at(thread: number, index: number): number {
    return this.#roots + thread * (this.#roots + DIRECTORIES_MAX) + index;
  }
}
