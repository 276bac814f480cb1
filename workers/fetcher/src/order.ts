/** What is to be fetched, and with what. */
import type { UrlSource, WriteRequest } from '@penstock/contract';
import type { AddressPolicy } from './addresses.ts';

/** What is to be fetched. */
export interface FetchOrder extends Pick<UrlSource, 'url' | 'redirects' | 'timeoutMs'>, Pick<WriteRequest, 'size'> {}

/** What fetches share. */
export interface FetchMeans {
  policy: AddressPolicy;
  /** Certificates of authorities to trust instead of the usual ones. */
  ca?: string;
}
