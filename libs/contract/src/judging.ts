/** How requests are judged: apart from the rest of the contract, as it alone loads zod, which writer threads do without. */
export { jobJsonSchema, parseJob } from './request/bulk.ts';
export { parseRequest } from './request/request.ts';
