/**
 * What a power cut may leave of a disk, made from the recording of what it did: everything up to the last flush before
 * the cut, and of the writes after that none, some, or some sectors of some.
 *
 * That is what a disk with a volatile cache promises, and no more; so what is durable on every one of these is durable
 * because it was flushed, and not because a disk happened to be quick.
 */
import { closeSync, fstatSync, ftruncateSync, openSync, readSync, writeFileSync, writeSync } from 'node:fs';
import { run } from '../support/loop-disk.fixture.ts';

const HEADER_BYTES = 16;
const WRITE = 1;

/** What becomes of the writes that no flush followed: all lost, each kept or lost, or each sector kept or lost. */
export type Tear = 'lost' | 'some' | 'torn';

interface WriteRecord {
  /** On the disk. */
  offset: number;
  length: number;
  /** Of its bytes in the recording. */
  start: number;
}

export class Recording {
  readonly #fd: number;
  /** By position: the write, or null for a flush. */
  readonly #records: (WriteRecord | null)[] = [];
  readonly #durablePath: string;
  readonly #durable: number;
  /** Up to here the durable image has all. */
  #flushedTo = 0;

  /** @param durablePath a file of its own, which becomes the disk as it was flushed last */
  constructor(path: string, durablePath: string, sizeBytes: number) {
    this.#fd = openSync(path, 'r');
    const { size } = fstatSync(this.#fd);
    const header = Buffer.alloc(HEADER_BYTES);
    for (let at = 0; at + HEADER_BYTES <= size;) {
      readSync(this.#fd, header, 0, HEADER_BYTES, at);
      const length = header.readUInt32LE(4);
      const start = at + HEADER_BYTES;
      const isWrite = header.readUInt32LE(0) === WRITE;
      this.#records.push(isWrite ? { offset: Number(header.readBigUInt64LE(8)), length, start } : null);
      at = start + length;
    }
    writeFileSync(durablePath, '');
    this.#durablePath = durablePath;
    this.#durable = openSync(durablePath, 'r+');
    ftruncateSync(this.#durable, sizeBytes);
  }

  /**
   * Makes `image` the disk as a cut after its first `position` records may leave it. Positions must not decrease from
   * call to call.
   * @param atomBytes what the disk writes as a whole or not at all
   */
  cut(image: string, position: number, tear: Tear, atomBytes: number, random: () => number): void {
    const lastFlush = this.#records.lastIndexOf(null, position - 1);
    for (; this.#flushedTo < lastFlush; this.#flushedTo += 1) {
      const record = this.#records[this.#flushedTo];
      if (record != null) this.#apply(this.#durable, record, () => true, record.length);
    }
    run('cp', '--sparse=auto', this.#durablePath, image);
    if (tear === 'lost') return;
    const fd = openSync(image, 'r+');
    for (const record of this.#records.slice(lastFlush + 1, position)) {
      if (record !== null) this.#apply(fd, record, () => random() < 0.5, tear === 'torn' ? atomBytes : record.length);
    }
    closeSync(fd);
  }

  #apply(fd: number, { offset, length, start }: WriteRecord, isKept: () => boolean, atomBytes: number): void {
    const bytes = Buffer.alloc(length);
    readSync(this.#fd, bytes, 0, length, start);
    for (let at = 0; at < length; at += atomBytes) {
      if (isKept()) writeSync(fd, bytes, at, Math.min(atomBytes, length - at), offset + at);
    }
  }

  close(): void {
    closeSync(this.#fd);
    closeSync(this.#durable);
  }
}
