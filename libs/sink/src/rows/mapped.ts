/**
 * Rows that are written from where they stand in a mapped segment. Only the padded end of the file is read into a row of the
 * arena first.
 */
import { constants } from 'node:os';
import type { IoError } from '@penstock/contract';
import type { Mapping } from '@penstock/matrix';
import { statFd } from '@penstock/disk';
import { type Origin, changed } from '../origin/origin.ts';
import type { Target } from '../target/target.ts';
import { READ_ROW, WRITE_ROW } from '../thread/transfer.ts';
import { RowFeed } from './feed.ts';

const { EFAULT } = constants.errno;

export class MappedFeed extends RowFeed {
  readonly #segment: Origin;
  readonly #mapping: Mapping;
  readonly #target: Target;

  constructor(segment: Origin, mapping: Mapping, target: Target, end: number) {
    super(end, segment, false);
    this.#segment = segment;
    this.#mapping = mapping;
    this.#target = target;
  }

  override next(_row: number, _rowStart: number, _position: number, length: number): number {
    return length % this.#target.alignment.offset === 0 ? WRITE_ROW : READ_ROW;
  }

  override addressOf(rowAddress: number, position: number, length: number): number {
    return this.#standsMapped(position, length) ? this.#mapping.address + this.#segment.start + position : rowAddress;
  }

  /** The kernel cannot read the memory of a segment that has been cut. */
  override causeOf(errno: number, position: number, length: number): IoError | null {
    if (errno !== -EFAULT || !this.#standsMapped(position, length)) return null;
    const segment = this.#segment;
    const { sizeBytes } = statFd(segment.fd, segment.path);
    return sizeBytes < segment.start + position + length ? changed(segment, sizeBytes) : null;
  }

  /** True for any row but one that is padded. */
  #standsMapped(position: number, length: number): boolean {
    return position + length <= this.end;
  }
}
