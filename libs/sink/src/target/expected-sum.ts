/** The checksum that a request expects, compared with the one that came. */
import { IntegrityError, type WriteRequest } from '@penstock/contract';
import type { Target } from './target.ts';

/** @throws IntegrityError ECHECKSUM where they differ */
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
    // Other bytes may come next time only from somewhere else, or instead of those that an earlier attempt left here.
    retryable: source.kind === 'url' || o.resumed,
    hint: `${remainder(mode, publish)} Compare the source with what made the expected checksum.`,
  });
}

/** What is left of bytes that are not those expected. */
function remainder(mode: WriteRequest['mode'], publish: WriteRequest['publish']): string {
  if (publish === 'atomic') return 'Nothing was published.';
  if (mode === 'append') return 'What was appended is cut off again.';
  return mode === 'create' ? 'The file is removed again.' : 'What was overwritten in place stays so.';
}
