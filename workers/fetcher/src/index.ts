/** The fetcher: urls into the rows of writes, on a thread of its own. */
export { Fetcher } from './fetcher.ts';
