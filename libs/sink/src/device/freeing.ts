/**
 * Leaves the blocks of large files to another thread to be freed.
 *
 * The kernel frees a file's blocks inside the call that lets go of its last name or descriptor, or cuts it, and discards
 * them there if the mount says so: a quarter of a second for a gigabyte in which a writer thread would serve no other write.
 * So it keeps a descriptor of what it replaces or removes, and another thread closes that. A file that is cut keeps its
 * write waiting, but none of the thread's others.
 *
 * The decision: libs/README.md#freed-elsewhere.
 */
import type { Device } from '@penstock/disk';
import { type FreeingTable, TO_CLOSE } from '@penstock/matrix';
import { native } from '@penstock/native';

/** Less is freed where it is let go of: two milliseconds at most, on a mount that discards. */
export const FREED_ELSEWHERE_BYTES_MIN = 8_388_608;
/** When more than this waits to be freed, threads free for themselves: writes must not outrun the freeing for long. */
const LEFT_BYTES_MAX = 17_179_869_184;

/** Space is no longer expected when nothing at all was freed for so long: one call that frees a terabyte takes less. */
const STALLED_MS = 10_000;

/** A cut that another thread makes. */
export interface Cut {
  /** 0 or -errno once it is made; null until then. */
  result(): number | null;
  /** Nobody will ask for the result. */
  forget(): void;
}

/** One writer thread's end. */
export class Freeing {
  readonly #table: FreeingTable | null;
  readonly #thread: number;
  readonly #ordered: () => void;
  /** For how long nothing at all may be freed, until writes do not wait for it any more. */
  readonly stalledMs: number;
  /** Slots whose result is still to be looked at. */
  readonly #kept = new Set<number>();
  readonly #isKept = (slot: number): boolean => this.#kept.has(slot);

  /**
   * @param table null: there is no other thread, and this one frees
   * @param ordered called when there is something new in the table
   */
  constructor(
    table: FreeingTable | null = null,
    thread: number = 0,
    ordered: () => void = () => {},
    stalledMs: number = STALLED_MS,
  ) {
    this.stalledMs = stalledMs;
    this.#table = table;
    this.#thread = thread;
    this.#ordered = ordered;
  }

  /** True if so many bytes are left to another thread: then it is worth a call to keep a descriptor. */
  takes(bytes: number): boolean {
    return bytes >= FREED_ELSEWHERE_BYTES_MIN && this.#table !== null;
  }

  /** Closes `fd`, by which up to `bytes` of `device` become free. It must be recorded nowhere any more. */
  close(fd: number, bytes: number, device: Device): void {
    if (!this.takes(bytes) || this.#order(fd, bytes, device, TO_CLOSE) === -1) native.close(fd);
  }

  /** Has the open file cut to `end`, by which up to `bytes` become free; null if the caller is to do it. */
  cut(fd: number, end: number, bytes: number, device: Device): Cut | null {
    if (!this.takes(bytes)) return null;
    // A descriptor of its own, with the file's lock: the write may be stopped, and close its own, before the cut is made.
    const own = native.duplicate(fd);
    if (own < 0) return null;
    const slot = this.#order(own, bytes, device, end);
    if (slot === -1) {
      native.close(own);
      return null;
    }
    this.#kept.add(slot);
    const table = this.#table!;
    const forget = (): void => void this.#kept.delete(slot);
    return { result: () => (this.#kept.has(slot) ? table.resultOf(slot) : null), forget };
  }

  /** True while space of `device` is becoming free. */
  isUnderWay(device: Device): boolean {
    return this.#table !== null && this.#table.bytesLeft(numberOf(device)) > 0;
  }

  /** How often something has become free, of any device: the loop is woken each time. */
  get freedCount(): number {
    return this.#table === null ? 0 : this.#table.freedCount;
  }

  #order(fd: number, bytes: number, device: Device, end: number): number {
    const table = this.#table!;
    const left = table.bytesLeft();
    if (left > 0 && left + bytes > LEFT_BYTES_MAX) return -1;
    const slot = table.order(this.#thread, { fd, device: numberOf(device), bytes, end }, this.#isKept);
    if (slot !== -1) this.#ordered();
    return slot;
  }
}

const numberOf = ({ major, minor }: Device): number => (major << 20) | minor;
