/** The error of a bulk of which files failed, and whether another attempt may write them. */
import type { BulkResult } from '@penstock/contract';

/** Files of a bulk failed, and another attempt may write them. */
export class BulkError extends Error {
  override readonly name: string = 'BulkError';
  /** Of the first failure. */
  readonly code: string;
  readonly retryable = true;

  readonly result: BulkResult;

  /** @param result with a failure that mayYetSucceed */
  constructor(result: BulkResult) {
    const failures = result.items.filter((item) => 'error' in item);
    const first = failures.find(({ error }) => error.retryable) ?? failures[0];
    super(`${result.failed} of ${result.files} files failed; '${first?.path}': ${first?.error.message}`);
    this.result = result;
    this.code = first?.error.code ?? 'EUNKNOWN';
  }
}

/** True if another attempt may write a file that this one could not. */
export function mayYetSucceed({ items }: BulkResult): boolean {
  return items.some((item) => 'error' in item && item.error.retryable);
}
