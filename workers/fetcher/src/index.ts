/** The fetcher: urls into the rows of writes, on a thread of its own. */
export { AddressPolicy, AddressRefused } from './addresses.ts';
export type { Destination, FetchAnswer, FetchStart } from './destination.ts';
export { FetchError } from './errors.ts';
export { type Fetch, Fetcher, type FetcherOptions } from './fetcher.ts';
export type { FetchMeans, FetchOrder } from './order.ts';
