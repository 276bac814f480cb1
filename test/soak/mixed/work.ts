/**
 * The work of the mixed soak: small files, bulks, large ones that replace each other and are steered, copies and appends,
 * all through one queue at once, each kind in lanes of its own. It keeps what every file has to hold at the end.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { JobEndedError, type AddOptions, type WriteQueue } from '@penstock/queue';
import type { JobRequestInput, WireError } from '@penstock/contract';
import type { Findings } from '../findings.ts';
import { Seeded } from '../seeded.ts';

/** The bytes of one write: the pattern "random" of that seed. */
export interface Content {
  seed: number;
  size: number;
}

const KIB = 1024;
const MIB = 1_048_576;
/** So many jobs of small files at a time, in each of their lanes; the largest of them is 1 MiB. */
const SMALL_BATCH = 16;
const SMALL_LANES = 2;
/** Each name is written again and again, so that the disk does not fill. */
const SMALL_NAMES = 256;
const SMALL_SHIFTS = 8;
const BULK_FILES = 100;
const BULK_DIRECTORIES = 4;
const LARGE_NAMES = 2;
const COPY_NAMES = 2;
const COPY_SOURCE = 'copied';
const APPEND_BYTES_MAX = 256 * KIB;
/** Then another file is begun. */
const APPENDS_MAX = 400;
const APPEND_NAMES = 2;
/** Few, so that Redis holds as much after the warm-up as it does at the end. */
const OPTIONS: AddOptions = { removeOnComplete: { count: 500 }, removeOnFail: { count: 100 } };
/** Orders come within this time after their job was added. */
const ORDER_MS_MAX = 400;

export type Counts = Record<
  'small files' | 'files in bulks' | 'large files' | 'copies' | 'appends' | 'pauses' | 'limits' | 'cancels',
  number
>;

export class MixedWork {
  /** What each file has to hold, by path. */
  readonly expected: Map<string, readonly Content[]> = new Map();
  readonly counts: Counts = {
    'small files': 0,
    'files in bulks': 0,
    'large files': 0,
    copies: 0,
    appends: 0,
    pauses: 0,
    limits: 0,
    cancels: 0,
  };
  bytes = 0;
  readonly #queue: WriteQueue;
  readonly #findings: Findings;
  readonly #seed: number;
  readonly #sizeBytes: number;
  #lanes = 0;
  #contents = 0;

  constructor(queue: WriteQueue, findings: Findings, { seed, sizeBytes }: { seed: number; sizeBytes: number }) {
    this.#queue = queue;
    this.#findings = findings;
    this.#seed = seed;
    this.#sizeBytes = sizeBytes;
  }

  /** Works until `stopping` is aborted, which a lane that fails does too; resolves once the last job has ended. */
  async run(stopping: AbortController): Promise<void> {
    if (!this.expected.has(COPY_SOURCE)) await this.#write(COPY_SOURCE, this.#content(this.#sizeBytes));
    const small = Array.from({ length: SMALL_LANES }, (_, lane) => this.#smallLane(lane));
    const lanes = [...small, this.#bulkLane(), this.#largeLane(), this.#copyLane(), this.#appendLane()];
    const keepOn = async (step: (random: Seeded) => Promise<void>): Promise<void> => {
      const random = new Seeded(this.#seed + this.#lanes++);
      try {
        while (!stopping.signal.aborted) await step(random);
      } catch (error) {
        stopping.abort();
        throw error;
      }
    };
    // All come to their end, also where one fails: nothing may be under way when the files are compared.
    const ends = await Promise.allSettled(lanes.map(keepOn));
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
  }

  #content(size: number): Content {
    this.#contents += 1;
    return { seed: this.#seed + this.#contents, size };
  }

  #requestOf(path: string, { seed, size }: Content): JobRequestInput {
    return { path, size, source: { kind: 'pattern', pattern: 'random', seed } };
  }

  /** Adds a job and waits for its end: null if it is completed, else why it is not. */
  async #ended(id: string): Promise<WireError | null> {
    for await (const event of this.#queue.watch(id)) {
      if (event.type === 'completed') return null;
      if (event.type === 'failed') return event.error;
    }
    throw new Error(`job ${id} was watched, and its end not seen`);
  }

  #demandCompleted(what: string, failure: WireError | null): void {
    this.#findings.demand(failure === null, `${what} ends completed, not with ${failure?.code}: ${failure?.message}`);
  }

  async #write(path: string, content: Content): Promise<void> {
    const failure = await this.#ended(await this.#queue.add(this.#requestOf(path, content), OPTIONS));
    this.#demandCompleted(path, failure);
    this.expected.set(path, [content]);
    this.bytes += content.size;
  }

  /** Jobs of one file each, from 4 KiB to 1 MiB, the small ones more often. */
  #smallLane(lane: number): (random: Seeded) => Promise<void> {
    let next = 0;
    return async (random) => {
      const writes = Array.from({ length: SMALL_BATCH }, () => {
        const unit = (4 * KIB) << random.between(0, SMALL_SHIFTS + 1);
        return { path: `small-${lane}/${next++ % SMALL_NAMES}`, ...this.#content(random.between(unit >> 1, unit + 1)) };
      });
      const ids = await this.#queue.addBulk(
        writes.map((write) => this.#requestOf(write.path, write)),
        OPTIONS,
      );
      const failures = await Promise.all(ids.map((id) => this.#ended(id)));
      for (const [index, { path, seed, size }] of writes.entries()) {
        this.#demandCompleted(path, failures[index]!);
        this.expected.set(path, [{ seed, size }]);
        this.bytes += size;
      }
      this.counts['small files'] += SMALL_BATCH;
    };
  }

  #bulkLane(): (random: Seeded) => Promise<void> {
    let next = 0;
    return async (random) => {
      const directory = `bulk-${next++ % BULK_DIRECTORIES}`;
      const size = random.pick([1, 4096, 10_007]);
      const files = Array.from({ length: BULK_FILES }, (_, index) => ({
        path: `${directory}/${index}`,
        ...this.#content(size),
      }));
      const request = { files: files.map((file) => this.#requestOf(file.path, file)) } as JobRequestInput;
      this.#demandCompleted(directory, await this.#ended(await this.#queue.add(request, OPTIONS)));
      for (const { path, ...content } of files) this.expected.set(path, [content]);
      this.bytes += size * BULK_FILES;
      this.counts['files in bulks'] += BULK_FILES;
    };
  }

  /** Large files that replace those of before, some of them paused, limited or cancelled on their way. */
  #largeLane(): (random: Seeded) => Promise<void> {
    let next = 0;
    return async (random) => {
      const path = `large-${next++ % LARGE_NAMES}`;
      const content = this.#content(random.between(this.#sizeBytes >> 2, this.#sizeBytes + 1));
      const id = await this.#queue.add(this.#requestOf(path, content), OPTIONS);
      const [failure] = await Promise.all([this.#ended(id), this.#steer(id, random)]);
      if (failure?.code === 'ECANCELED') {
        this.counts.cancels += 1; // the file is as it was
        return;
      }
      this.#demandCompleted(path, failure);
      this.expected.set(path, [content]);
      this.bytes += content.size;
      this.counts['large files'] += 1;
    };
  }

  async #steer(id: string, random: Seeded): Promise<void> {
    const order = random.pick(['none', 'none', 'pause', 'limit', 'cancel', 'pause and cancel']);
    const [first, second] = [random.next() * ORDER_MS_MAX, random.next() * ORDER_MS_MAX];
    try {
      await delay(first);
      if (order.startsWith('pause')) {
        await this.#queue.pause(id);
        this.counts.pauses += 1;
        await delay(second);
        if (order === 'pause') await this.#queue.resume(id);
      }
      if (order.endsWith('cancel')) await this.#queue.cancel(id, { by: 'soak' });
      if (order === 'limit') {
        await this.#queue.limit(id, 64 * MIB);
        this.counts.limits += 1;
        await delay(second);
        await this.#queue.limit(id, 0);
      }
    } catch (error) {
      if (!(error instanceof JobEndedError)) throw error; // it was quicker than the order
    }
  }

  #copyLane(): () => Promise<void> {
    let next = 0;
    return async () => {
      const path = `copy-${next++ % COPY_NAMES}`;
      const request = { path, source: { kind: 'file', path: COPY_SOURCE } } as JobRequestInput;
      this.#demandCompleted(path, await this.#ended(await this.#queue.add(request, OPTIONS)));
      this.expected.set(path, this.expected.get(COPY_SOURCE)!);
      this.bytes += this.#sizeBytes;
      this.counts.copies += 1;
    };
  }

  #appendLane(): (random: Seeded) => Promise<void> {
    let next = 0;
    return async (random) => {
      const path = `appended-${Math.floor(next++ / APPENDS_MAX) % APPEND_NAMES}`;
      const content = this.#content(random.between(1, APPEND_BYTES_MAX));
      // Each begins with a write that replaces what an earlier turn has left.
      const begins = (next - 1) % APPENDS_MAX === 0;
      const request: JobRequestInput = { ...this.#requestOf(path, content), mode: begins ? 'replace' : 'append' };
      this.#demandCompleted(path, await this.#ended(await this.#queue.add(request, OPTIONS)));
      this.expected.set(path, [...(begins ? [] : this.expected.get(path)!), content]);
      this.bytes += content.size;
      this.counts.appends += 1;
    };
  }
}
