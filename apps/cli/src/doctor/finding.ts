/** What a check of the doctor found. */

export type Verdict = 'ok' | 'warn' | 'fail';

export interface Finding {
  verdict: Verdict;
  /** What was checked. */
  what: string;
  /** What was found. */
  found: string;
  /** What to do about it; absent if nothing is to be done. */
  remedy?: string;
}

export const ok = (what: string, found: string): Finding => ({ verdict: 'ok', what, found });
export const warn = (what: string, found: string, remedy: string): Finding => ({
  verdict: 'warn',
  what,
  found,
  remedy,
});
export const fail = (what: string, found: string, remedy: string): Finding => ({
  verdict: 'fail',
  what,
  found,
  remedy,
});

/** The finding of a check that could not be carried out. */
export function broken(what: string, error: unknown, remedy: string): Finding {
  return fail(what, error instanceof Error ? error.message : String(error), remedy);
}
