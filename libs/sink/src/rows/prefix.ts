/** What an earlier attempt wrote, if all bytes are to be summed up: rows that are read from the target, and not written. */
import { READ_PREFIX } from '../thread/transfer.ts';
import { RowFeed } from './feed.ts';

export class PrefixFeed extends RowFeed {
  constructor(end: number) {
    super(end, null, false);
  }

  override get isPaced(): boolean {
    return false;
  }

  override next(_row: number, _rowStart: number, _position: number, _length: number): number {
    return READ_PREFIX;
  }
}
