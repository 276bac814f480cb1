/**
 * What a writer thread has done so far, counted in words that the main thread reads: bytes, iocbs and how long those took, and
 * the row memory that its writes have. Only the thread stores; the counts begin when the words are made and never fall.
 */
import { strict as assert } from 'node:assert';

/** Four buckets for each doubling of a latency: a quantile is right within a tenth. */
const BUCKETS_PER_DOUBLING = 4;
/** From a microsecond to 18 minutes; what takes longer counts as that. */
const BUCKETS = 120;

const ROW_PAGES = 0;
const BYTES = 1; // counted in doubles, so words 2 and 3
const FIRST_BUCKET = 8;
const TALLY_WORDS = 128;

const PAGE_BYTES = 4096;

/** The counts of all threads of a pool. */
export class ThreadTallies {
  readonly buffer: SharedArrayBuffer;
  readonly threads: number;

  /** @param buffer of the tallies that the main thread made for as many threads */
  constructor(threads: number, buffer?: SharedArrayBuffer) {
    this.threads = threads;
    this.buffer = buffer ?? new SharedArrayBuffer(threads * TALLY_WORDS * 4);
    assert(this.buffer.byteLength === threads * TALLY_WORDS * 4, 'tallies were made over a buffer of another shape');
  }

  /** The tally of thread slot `index`. */
  of(index: number): ThreadTally {
    assert(index >= 0 && index < this.threads, `there is no thread slot ${index}`);
    return new ThreadTally(this.buffer, index * TALLY_WORDS);
  }
}

/** The counts of one thread. */
export class ThreadTally {
  readonly #words: Int32Array;
  readonly #doubles: Float64Array;

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(TALLY_WORDS * 4), at = 0) {
    this.#words = new Int32Array(buffer, at * 4, TALLY_WORDS);
    this.#doubles = new Float64Array(buffer, at * 4, TALLY_WORDS / 2);
  }

  /** Thread: a write iocb has come back, after so long. @param result what the kernel returned: bytes, or a negative errno */
  count(result: number, us: number): void {
    if (result > 0) this.#doubles[BYTES]! += result;
    const bucket = FIRST_BUCKET + bucketOf(us);
    this.#words[bucket] = (this.#words[bucket]! + 1) | 0;
  }

  /** Row memory that the thread's writes have. */
  get rowBytes(): number {
    return Atomics.load(this.#words, ROW_PAGES) * PAGE_BYTES;
  }

  /** Thread: its writes have so many bytes more, whole pages; or fewer. */
  addRowBytes(bytes: number): void {
    Atomics.add(this.#words, ROW_PAGES, bytes / PAGE_BYTES);
  }

  /** Thread, as it starts: one that had these words before may have died with rows. */
  dropRowBytes(): void {
    Atomics.store(this.#words, ROW_PAGES, 0);
  }

  /** Main thread: adds the counts so far to `sum`. @param isAlive false if the thread has ended: it may have died with rows */
  addTo(sum: TallySum, isAlive: boolean = true): void {
    sum.bytes += this.#doubles[BYTES]!;
    if (isAlive) sum.rowBytes += this.rowBytes;
    for (let bucket = 0; bucket < BUCKETS; bucket += 1) {
      const counted = (sum.latencies[bucket]! + Atomics.load(this.#words, FIRST_BUCKET + bucket)) | 0;
      sum.latencies[bucket] = counted;
    }
  }
}

/** The counts of several threads together, at one moment. */
export class TallySum {
  bytes = 0;
  rowBytes = 0;
  /** iocbs by how long they took, each count modulo 2^32. */
  readonly latencies: Int32Array = new Int32Array(BUCKETS);

  /** How long iocbs took that came back since `earlier`, in microseconds; null if none did. */
  latencySince(earlier: TallySum): { p50: number; p99: number } | null {
    const counts = Array.from(this.latencies, (count, bucket) => (count - earlier.latencies[bucket]!) | 0);
    const all = counts.reduce((sum, count) => sum + count, 0);
    if (all <= 0) return null;
    return { p50: quantile(counts, all * 0.5), p99: quantile(counts, all * 0.99) };
  }
}

function bucketOf(us: number): number {
  const bucket = us <= 1 ? 0 : Math.floor(Math.log2(us) * BUCKETS_PER_DOUBLING);
  return bucket < BUCKETS ? bucket : BUCKETS - 1;
}

/** The middle of the bucket that the `rank`th latency is in. */
function quantile(counts: readonly number[], rank: number): number {
  let passed = 0;
  const bucket = counts.findIndex((count) => (passed += count) >= rank);
  return Math.round(2 ** ((bucket + 0.5) / BUCKETS_PER_DOUBLING));
}
