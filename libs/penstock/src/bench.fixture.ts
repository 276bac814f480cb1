/** For tests: a writer over a directory on a real disk, and nothing of either left behind. */
import { closeSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openWriter, type Writer, type WriterOptions } from './writer.ts';

// The checkout's disk: the temporary directory is often memory, where direct I/O proves nothing.
const scratch = fileURLToPath(new URL('../../../.cache/scratch/', import.meta.url));

/** Around rows, blocks and pages. */
export const EDGE_SIZES: readonly number[] = [0, 1, 511, 4095, 4096, 4097, 65_537, 1_048_575, 1_048_577, 5_000_001];

export class Bench {
  readonly directory: string;
  #writer: Writer | undefined;

  constructor() {
    mkdirSync(scratch, { recursive: true });
    this.directory = mkdtempSync(join(scratch, 'library-'));
    closeSync(openSync(this.directory, 'r'));
  }

  async open(options: WriterOptions = {}): Promise<Writer> {
    this.#writer = await openWriter({ threads: 1, depth: 32, jobs: 4, memoryBytes: 67_108_864, ...options });
    return this.#writer;
  }

  path(name: string): string {
    return join(this.directory, name);
  }

  read(name: string): Buffer {
    return readFileSync(this.path(name));
  }

  /** Temporary names included. */
  names(): string[] {
    return readdirSync(this.directory).toSorted();
  }

  /** Closes the writer, if one is open. */
  async close(): Promise<void> {
    await this.#writer?.close();
    this.#writer = undefined;
  }

  /** Contexts, and descriptors of the directory's files. */
  left(): string[] {
    return [...contexts(), ...descriptorsIn(this.directory)];
  }

  /** Closes the writer and removes the directory. Returns what was left: contexts, descriptors, threads. */
  async clear(): Promise<string[]> {
    await this.close();
    const left = this.left();
    rmSync(this.directory, { recursive: true, force: true });
    return left;
  }
}

/** Contexts of this process: each maps its ring. */
function contexts(): string[] {
  return readFileSync('/proc/self/maps', 'latin1')
    .split('\n')
    .filter((line) => line.includes('/[aio]'));
}

function descriptorsIn(path: string): string[] {
  return readdirSync('/proc/self/fd')
    .map((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`);
      } catch {
        return ''; // the descriptor that listed the directory
      }
    })
    .filter((target) => target.startsWith(path));
}

/** Bytes that tell where they belong: no two pages of them are alike. */
export function bytesFor(size: number): Buffer {
  const words = new Uint32Array(Math.ceil(size / 4));
  for (let index = 0; index < words.length; index += 1) words[index] = Math.imul(index, 2_654_435_761);
  return Buffer.from(words.buffer, 0, size);
}
