/**
 * What a write that lengthens a file asks the queue about the jobs in the file's record (libs/sink, append/record.ts), and
 * what it is answered (libs/queue, records/append-places.ts).
 */

/** What has become of the job that an entry of the record names. */
export type Fate =
  /** There is no such job: it was removed, or another one has its id. */
  | 'gone'
  /** It has ended, and its own record keeps where its bytes stand, for it may be retried by hand. */
  | 'completed'
  | 'failed'
  /** It waits, runs, or will be retried. */
  | 'alive'
  /** It belongs to another queue, which was not asked. */
  | 'unknown';

/** What one write asks at once. */
export interface AppendQuestion {
  /** The asking write, to learn where its bytes stand; null if it does not ask that. */
  own: { job: string; jobKey: string } | null;
  /** The jobs whose fate is asked. One that has ended keeps `place` from now on; '' if its bytes are about to be cut off. */
  entries: { job: string; jobKey: string; place: string }[];
}

/** The answer to an AppendQuestion. */
export interface AppendAnswer {
  /** The place that the asking job keeps since an earlier question; null if it keeps none. */
  own: string | null;
  /** In the order of the question's entries. */
  fates: Fate[];
}
