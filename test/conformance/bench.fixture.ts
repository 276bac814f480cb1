/** A port with iocbs, aligned rows and a file of its own: what a test of the port alone needs of an engine. */
import { mkdirSync, mkdtempSync, openSync, closeSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type AioPort, type PortFactory, abi } from '@penstock/aio';
import { highWord, lowWord, native } from '@penstock/native';
import { type ArenaMemory, createArenaMemory } from '@penstock/matrix';

// The checkout's disk, not os.tmpdir(): that is often a tmpfs, where direct I/O proves nothing.
const scratch = fileURLToPath(new URL('../../.cache/scratch/', import.meta.url));

/** Suits every disk: rows, lengths and offsets are multiples of it unless a test says otherwise. */
export const BLOCK = 4096;

export type MakePort = () => AioPort | PortFactory;

export interface Completion {
  slot: number;
  result: number;
  result2: number;
}

const open = new Set<PortBench | TestFile>();

/** Closes the benches and files that a test left open, even if it failed. */
export function closeBenches(): void {
  // The newest first: a context is destroyed before the file that its I/O goes to is closed.
  for (const left of [...open].toReversed()) if (open.has(left)) left.close();
}

/** A file on the checkout's disk, opened for direct I/O where the file system has it. */
export class TestFile {
  readonly path: string;
  readonly fd: number;
  readonly #directory: string;

  constructor(content: Uint8Array = new Uint8Array(0)) {
    mkdirSync(scratch, { recursive: true });
    this.#directory = mkdtempSync(join(scratch, 'conformance-'));
    this.path = join(this.#directory, 'file');
    writeFileSync(this.path, content);
    const direct = native.openat(native.AT_FDCWD, this.path, native.O_RDWR | native.O_DIRECT, 0);
    this.fd = direct >= 0 ? direct : native.openat(native.AT_FDCWD, this.path, native.O_RDWR, 0);
    open.add(this);
  }

  get directory(): string {
    return this.#directory;
  }

  /** The bytes, read by an independent path. */
  content(): Uint8Array {
    return new Uint8Array(readFileSync(this.path));
  }

  /** True if the file system refuses direct I/O from a misaligned buffer: tmpfs and btrfs take anything. */
  isStrict(memory: number): boolean {
    return native.pwrite(this.fd, memory + 1, BLOCK, 0) < 0;
  }

  close(): void {
    open.delete(this);
    native.close(this.fd);
    rmSync(this.#directory, { recursive: true });
  }
}

export class PortBench {
  readonly port: AioPort;
  readonly file: TestFile;
  readonly context: number;
  readonly rows: Uint8Array;
  readonly address: number;
  readonly #iocbs: Int32Array;
  readonly #iocbsAddress: number;
  readonly #memory: ArenaMemory;
  #destroyed = false;

  constructor(
    kind: { make: MakePort },
    {
      depth = 32,
      iocbs = 64,
      content = new Uint8Array(0),
    }: { depth?: number; iocbs?: number; content?: Uint8Array } = {},
  ) {
    this.#iocbs = new Int32Array(new ArrayBuffer(iocbs * abi.IOCB_WORDS * 4));
    this.#iocbsAddress = native.addressOf(this.#iocbs);
    this.#memory = createArenaMemory(iocbs * 16 * BLOCK);
    this.rows = new Uint8Array(this.#memory.buffer, this.#memory.start, this.#memory.sizeBytes);
    this.address = native.addressOf(this.rows);
    const made = kind.make();
    this.port = typeof made === 'function' ? made(this.#iocbs, this.#iocbsAddress) : made;
    this.file = new TestFile(content);
    this.context = this.port.setup(depth);
    if (this.context <= 0) throw new Error(`setup gave ${this.context}`);
    open.add(this);
  }

  /** Row `index` of up to 64 KiB. */
  row(index: number, length: number = BLOCK): Uint8Array {
    return this.rows.subarray(index * 16 * BLOCK, index * 16 * BLOCK + length);
  }

  /** Stores an iocb of row `slot`. */
  prep(
    slot: number,
    opcode: number,
    options: { fd?: number; length?: number; offset?: number; shift?: number } = {},
  ): void {
    const { fd = this.file.fd, length = BLOCK, offset = 0, shift = 0 } = options;
    const isSync = opcode === abi.OPCODE_FDSYNC || opcode === abi.OPCODE_FSYNC;
    const address = isSync ? 0 : this.address + slot * 16 * BLOCK + shift;
    abi.storeIocb(this.#iocbs, slot, opcode, fd, address, isSync ? 0 : length, offset);
  }

  /** One call of submit with the iocbs of `slots`. */
  submit(slots: readonly number[]): number {
    const pointers = new Uint32Array(new ArrayBuffer(slots.length * 8));
    for (const [index, slot] of slots.entries()) {
      const pointer = this.#iocbsAddress + slot * abi.IOCB_WORDS * 4;
      pointers[index * 2] = lowWord(pointer);
      pointers[index * 2 + 1] = highWord(pointer);
    }
    return this.port.submit(this.context, slots.length, pointers);
  }

  /** One wait: what completed, or the errno thrown. */
  reap(max: number, timeoutMs = 1000, min = 1): Completion[] {
    const events = new Int32Array(new ArrayBuffer(max * abi.EVENT_WORDS * 4));
    const count = this.port.getevents(this.context, min, max, events, timeoutMs);
    if (count < 0) throw new Error(`getevents gave ${count}`);
    return Array.from({ length: count }, (_, index) => ({
      slot: events[index * abi.EVENT_WORDS]!,
      result: events[index * abi.EVENT_WORDS + 4]!,
      result2: events[index * abi.EVENT_WORDS + 6]!,
    }));
  }

  /** Waits for `count` completions: results by slot. */
  reapAll(count: number): Map<number, number> {
    const results = new Map<number, number>();
    for (let waits = 0; results.size < count && waits < 100; waits += 1) {
      for (const { slot, result } of this.reap(count - results.size)) {
        if (results.has(slot)) throw new Error(`slot ${slot} completed twice`);
        results.set(slot, result);
      }
    }
    return results;
  }

  /** Submits one iocb and waits for it. */
  perform(
    slot: number,
    opcode: number,
    options: { fd?: number; length?: number; offset?: number; shift?: number } = {},
  ): Completion {
    this.prep(slot, opcode, options);
    const taken = this.submit([slot]);
    if (taken !== 1) throw new Error(`submit gave ${taken}`);
    const [completion] = this.reap(1);
    return completion!;
  }

  destroy(): number {
    this.#destroyed = true;
    return this.port.destroy(this.context);
  }

  close(): void {
    open.delete(this);
    if (!this.#destroyed) this.destroy();
    this.file.close();
  }
}

/** A descriptor of the directory that holds the file. */
export function withDirectory<Result>(file: TestFile, use: (fd: number) => Result): Result {
  const fd = openSync(file.directory, 'r');
  try {
    return use(fd);
  } finally {
    closeSync(fd);
  }
}
