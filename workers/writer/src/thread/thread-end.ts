/**
 * Cleaning up after this thread by the thread itself, if the thread that opened its pool is no main thread: a worker thread
 * that is terminated takes its own threads with it, and none is left to close their descriptors and destroy their contexts.
 * glibc does that as the thread ends (native.atThreadEnd); the memory that it reads descriptors from is kept here.
 *
 * The decision: libs/README.md#thread-destructors.
 */
import { native } from '@penstock/native';

export class ThreadEnd implements native.DescriptorWatch {
  readonly #end: native.AtThreadEnd;
  /** By each open descriptor: the address at which glibc reads its number. */
  readonly #addresses = new Map<number, number>();
  readonly #freeAddresses: number[] = [];
  readonly #number = new Int32Array(1);
  readonly #bytes = new Uint8Array(this.#number.buffer);

  /** @throws if the libc offers nothing of the kind */
  static open(libaio: string | undefined): ThreadEnd {
    const end = native.atThreadEnd(libaio);
    if (end !== null) return new ThreadEnd(end);
    throw new Error(
      'a writer cannot be opened in a worker thread here: without glibc nothing would clean up after it, if that is ' +
        'terminated. Open it in the main thread.',
    );
  }

  private constructor(end: native.AtThreadEnd) {
    this.#end = end;
    native.watchDescriptors(this);
  }

  /** True if a context can be destroyed as well. */
  get takesContexts(): boolean {
    return this.#end.destroyAtEnd !== null;
  }

  destroy(context: number): void {
    this.#end.destroyAtEnd?.(context);
  }

  opened(fd: number): void {
    const address = this.#freeAddresses.pop() ?? this.#end.closeAtEnd();
    this.#addresses.set(fd, address);
    this.#store(address, fd);
  }

  /** From here on the number may be given to another file. */
  closing(fd: number): void {
    const address = this.#addresses.get(fd);
    if (address === undefined) return;
    this.#addresses.delete(fd);
    this.#store(address, -1);
    this.#freeAddresses.push(address);
  }

  #store(address: number, fd: number): void {
    this.#number[0] = fd;
    native.copyTo(address, this.#bytes);
  }
}
