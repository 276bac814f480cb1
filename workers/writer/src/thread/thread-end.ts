/**
 * Cleaning up after this thread by the thread itself, where the thread that opened its pool is no main thread: one that is
 * terminated takes its own threads with it, and nobody is left to close their descriptors and destroy their contexts.
 * glibc does, as the thread ends (native.atThreadEnd); the memory that it reads descriptors from is kept here.
 */
import { native } from '@penstock/native';

export class ThreadEnd implements native.DescriptorWatch {
  readonly #end: native.AtThreadEnd;
  /** By descriptor that is open: where its number stands. */
  readonly #places = new Map<number, number>();
  readonly #freePlaces: number[] = [];
  readonly #number = new Int32Array(1);
  readonly #bytes = new Uint8Array(this.#number.buffer);

  /** null where the libc offers nothing of the kind. */
  static open(libaio: string | undefined): ThreadEnd | null {
    const end = native.atThreadEnd(libaio);
    return end === null ? null : new ThreadEnd(end);
  }

  private constructor(end: native.AtThreadEnd) {
    this.#end = end;
    native.watchDescriptors(this);
  }

  /** True where a context can be destroyed as well. */
  get takesContexts(): boolean {
    return this.#end.destroyAtEnd !== null;
  }

  destroy(context: number): void {
    this.#end.destroyAtEnd?.(context);
  }

  opened(fd: number): void {
    const place = this.#freePlaces.pop() ?? this.#end.closeAtEnd();
    this.#places.set(fd, place);
    this.#store(place, fd);
  }

  /** From here on the number may be given to another file. */
  closing(fd: number): void {
    const place = this.#places.get(fd);
    if (place === undefined) return;
    this.#places.delete(fd);
    this.#store(place, -1);
    this.#freePlaces.push(place);
  }

  #store(place: number, fd: number): void {
    this.#number[0] = fd;
    native.copyTo(place, this.#bytes);
  }
}
