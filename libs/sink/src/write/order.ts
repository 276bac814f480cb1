/** What a write is given: the order that it carries out, and the control block that steers it and shows its progress. */
import type { WriteRequest } from '@penstock/contract';
import type { JobBlock, RingOutlet } from '@penstock/matrix';
import type { AttemptIdentity } from '../attempt/parts.ts';

/** One attempt at a request. */
export interface WriteOrder extends AttemptIdentity {
  request: WriteRequest;
  /** True if what earlier attempts left beside the target has been removed already. */
  swept?: boolean;
  /** True if another attempt follows should the source fail. */
  willRetry?: boolean;
  /** By the thread's own count: when it, or the bulk that it is of, was handed to the thread. If absent, now. */
  arrival?: number;
  /** The attempt's place among the records of partial files. */
  partPlace?: number;
  /** Where the bytes arrive, if they are neither computed nor read; `request.source` may be of any kind then. */
  ring?: RingOutlet;
}

/** What a write needs of its job's control block. */
export type WriteControl = Pick<
  JobBlock,
  'publish' | 'recordFd' | 'recordMapping' | 'stop' | 'lapsed' | 'paused' | 'rate'
> &
  Partial<Pick<JobBlock, 'waitForRows'>>;
