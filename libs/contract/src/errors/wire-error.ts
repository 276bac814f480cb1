/** An error as plain data: how errors cross threads, the queue and HTTP. */
/** What worker threads post, and what the queue's progress and HTTP answers carry. */
export interface WireError {
  name: string;
  message: string;
  /** An errno name ('ENOSPC'), 'EBADREQUEST', 'ECANCELED', another error's own code, or 'EUNKNOWN'. */
  code: string;
  syscall?: string;
  /** Negative, as the kernel returns it. */
  errno?: number;
  path?: string;
  /** Bytes from the start of the file. */
  offset?: number;
  length?: number;
  /** What to do about it. For a bad request: what would be accepted. */
  hint?: string;
  /** The field of a bad request, such as 'matrix.rowBytes'. */
  field?: string;
  /** Of an IntegrityError: the checksum that was to be, and the one that was, each in hexadecimal digits. */
  expected?: string;
  found?: string;
  /** Of a cancelled write: who cancelled it, and why if that was given. */
  by?: string;
  why?: string;
  /** False if another attempt would end the same way. */
  retryable: boolean;
}

/** The code of a bad request. */
export const BAD_REQUEST = 'EBADREQUEST';
