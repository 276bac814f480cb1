/**
 * Where in a file each recent append began, recorded with the file: a job runs at least once, and only this tells its
 * second attempt to write the same bytes to the same place instead of appending them again.
 *
 * An attempt records its range under the file's lock, then extends the file over all of it, then writes. So a range
 * that the file does not reach was never extended: its attempt died in between, and it is dropped.
 *
 * A write that lengthens the file to an end inside a block is recorded too, wherever it begins: one that died between its
 * padded last row and the cut would leave zeros that nobody asked for.
 */
import { constants } from 'node:os';
import { IoError } from '@penstock/contract';
import { native } from '@penstock/aio';

const { ENODATA, EOPNOTSUPP } = constants.errno;

const ATTRIBUTE = 'user.penstock.appends';
const TEXT_BYTES_MAX = 2048;
/** Of the last ones: an attempt comes again within minutes, and a file system may have one block for all attributes. */
const RANGES_MAX = 24;

interface Range {
  jobKey: string;
  offset: number;
  length: number;
  /** Its last byte is written, and the file was cut there if it ended there. */
  done: boolean;
}

/** One write that lengthens an open and locked file. */
export class Lengthening {
  /** Where its first byte goes. */
  readonly offset: number;
  /** How long the file is without the padding of an attempt that died before it cut it off. */
  readonly fileBytes: number;
  /** Nothing stands behind its bytes, and no earlier attempt has said that they are all there. */
  readonly isOpenEnd: boolean;
  readonly #fd: number;
  readonly #path: string;
  readonly #jobKey: string;

  /**
   * Decides where `length` bytes go and records it; the caller then extends the file.
   * @param fileBytes how long the file is now
   * @param fixedOffset where the bytes go whatever the file's end is; absent for an append
   * @param grain the offset alignment of direct writes: an attempt that died may have left the file longer by less
   * @throws IoError where an earlier attempt may have appended already and this file system cannot tell
   */
  constructor(
    fd: number,
    path: string,
    o: { jobKey: string; again: boolean; fileBytes: number; length: number; grain: number; fixedOffset?: number },
  ) {
    this.#fd = fd;
    this.#path = path;
    this.#jobKey = o.jobKey;
    const appends = o.fixedOffset === undefined;
    const ranges = readRanges(fd, path, o.again && appends).filter(
      ({ offset, length }) => offset + length <= o.fileBytes,
    );
    const own = o.again ? ranges.find(({ jobKey, length }) => jobKey === o.jobKey && length === o.length) : undefined;
    this.fileBytes = endOf(ranges, o.fileBytes, o.grain);
    this.offset = o.fixedOffset ?? own?.offset ?? this.fileBytes;
    this.isOpenEnd = appends && (own === undefined || (!own.done && own.offset + own.length === this.fileBytes));
    if (own !== undefined) return;
    const range: Range = { jobKey: o.jobKey, offset: this.offset, length: o.length, done: false };
    const stored = storeRanges(fd, [...ranges.filter(({ jobKey }) => jobKey !== o.jobKey), range]);
    // Without attributes an append still works: it cannot be tried again then, see readRanges.
    if (stored < 0 && stored !== -EOPNOTSUPP && appends) {
      throw new IoError({ syscall: 'fsetxattr', errno: stored, path });
    }
  }

  /** All of it is written and the file has its size. */
  finish(): void {
    const ranges = readRanges(this.#fd, this.#path, false);
    for (const range of ranges) if (range.jobKey === this.#jobKey) range.done = true;
    storeRanges(this.#fd, ranges);
  }

  /** It failed, and its bytes are cut off again: another attempt appends anew. */
  forget(): void {
    const ranges = readRanges(this.#fd, this.#path, false);
    storeRanges(
      this.#fd,
      ranges.filter(({ jobKey }) => jobKey !== this.#jobKey),
    );
  }
}

/** The end of the file, or of the append that comes last in it, where that one died before it cut its padding off. */
function endOf(ranges: readonly Range[], fileBytes: number, grain: number): number {
  let lastEnd = 0;
  let lastDone = true;
  for (const { offset, length, done } of ranges) {
    if (offset + length < lastEnd) continue;
    lastEnd = offset + length;
    lastDone = done;
  }
  // Behind any other range stand the bytes of a later append, however few they are.
  return !lastDone && fileBytes - lastEnd < grain ? lastEnd : fileBytes;
}

function readRanges(fd: number, path: string, mustTell: boolean): Range[] {
  const value = new Uint8Array(new ArrayBuffer(TEXT_BYTES_MAX));
  const length = native.fgetxattr(fd, ATTRIBUTE, value);
  if (length >= 0) return parse(Buffer.from(value.buffer, 0, length).toString('latin1'));
  if (length !== -ENODATA && mustTell) {
    const hint =
      length === -EOPNOTSUPP
        ? 'An earlier attempt may have appended already, and this file system keeps no attribute that would tell.'
        : 'An earlier attempt may have appended already, and whether it has cannot be read.';
    throw new IoError({ syscall: 'fgetxattr', errno: length, path, hint });
  }
  return [];
}

function storeRanges(fd: number, ranges: readonly Range[]): number {
  const lines = ranges
    .slice(-RANGES_MAX)
    .map(({ jobKey, offset, length, done }) => `${jobKey} ${offset} ${length} ${done ? 1 : 0}\n`);
  return native.fsetxattr(fd, ATTRIBUTE, Buffer.from(lines.join('')));
}

function parse(text: string): Range[] {
  const ranges: Range[] = [];
  for (const [, jobKey = '', offset, length, done] of text.matchAll(/^(\S+) (\d+) (\d+) ([01])$/gm)) {
    ranges.push({ jobKey, offset: Number(offset), length: Number(length), done: done === '1' });
  }
  return ranges;
}
