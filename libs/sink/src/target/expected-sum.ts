/** Compares the checksum that a request expects with the one that was computed. */
import { IntegrityError, type WriteRequest } from '@penstock/contract';
import type { Target } from './target.ts';

/**
 * @param o `sum`: the computed checksum of the write's `size` bytes; `resumed`: some of them are of an earlier attempt
 * @throws IntegrityError ECHECKSUM if they differ
 */
export function assertExpected(
  { checksum = 'none', expect, mode, publish, source }: WriteRequest,
  { path, baseOffset }: Target,
  o: { sum: string; size: number; resumed: boolean },
): void {
  if (checksum === 'none' || expect === undefined || o.sum === expect) return;
  throw new IntegrityError({
    code: 'ECHECKSUM',
    path,
    offset: baseOffset,
    length: o.size,
    algorithm: checksum,
    expected: expect,
    found: o.sum,
    // A retry can give other bytes only if they come from a URL, or if some of these were left by an earlier attempt.
    retryable: source.kind === 'url' || o.resumed,
    hint: `${remainder(mode, publish)} Compare the source with what made the expected checksum.`,
  });
}

/** What becomes of the bytes, as part of the hint. */
function remainder(mode: WriteRequest['mode'], publish: WriteRequest['publish']): string {
  if (publish === 'atomic') return 'Nothing was published.';
  if (mode === 'append') return 'What was appended is cut off again.';
  return mode === 'create' ? 'The file is removed again.' : 'What was overwritten in place stays so.';
}
