/** Where the bytes of a fetch go: the seam between HTTP and the rows of a write. */

/** Where a fetch is to begin. */
export interface FetchStart {
  /** Bytes that are there already; 0 to begin with the first. */
  offset: number;
  /** The identity of the answer that brought those; without one the fetch begins at 0. */
  identity: string | null;
}

/** What is known of the bytes before the first of them comes. */
export interface FetchAnswer {
  /** Where the first byte that comes stands in the file: the offset that was asked for, or 0 if that cannot be had. */
  offset: number;
  /** Of the whole file, as the server or else the request declares; null if neither does. */
  totalBytes: number | null;
  /** What to name to go on later; null if the server sends nothing that identifies it. */
  identity: string | null;
}

export interface Destination {
  /** Called once, before any byte is pushed. */
  begin(answer: FetchAnswer): void;
  /** Takes the first so many of `bytes` as there is room for, before it returns; returns how many. */
  push(bytes: Uint8Array): number;
  /** Resolves when push() has room again. */
  room(): Promise<void>;
}
