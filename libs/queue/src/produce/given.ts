/** Judges what callers of the queue's client give, before anything is sent: programs leave things out or mix them up. */
import { type JobRequest, type JobRequestInput, parseSize, RequestError } from '@penstock/contract';
import { parseJob } from '@penstock/contract/judging';
import { type JobFilter, LISTED_STATES } from '../inspect/listing.ts';

/** Options that may be left out, also as null. @throws RequestError for what is no object */
export function optionsOf<T extends object>(given: T | null | undefined): Partial<T> {
  if (given === undefined || given === null) return {};
  if (typeof given === 'object') return given;
  throw new RequestError({ field: 'options', value: given, accepted: 'an object, or nothing' });
}

/** @throws RequestError */
export function assertId(id: unknown): asserts id is string {
  if (typeof id === 'string') return;
  throw new RequestError({ field: 'id', value: id, accepted: 'the id of a job, as add() resolves with it' });
}

/** @throws RequestError */
export function assertList(field: string, given: unknown): asserts given is readonly unknown[] {
  if (!Array.isArray(given)) throw new RequestError({ field, value: given, accepted: 'a list of writes' });
}

/** @throws RequestError */
export function assertAge(given: unknown): asserts given is number {
  if (typeof given === 'number' && given >= 0 && Number.isFinite(given)) return;
  throw new RequestError({ field: 'olderThanMs', value: given, accepted: 'milliseconds from 0 on' });
}

/** Which jobs are listed. @throws RequestError */
export function filterOf(filter: JobFilter): JobFilter {
  const { states, sinceMs } = filter;
  const unknownState = states?.find((state) => !LISTED_STATES.includes(state));
  if (unknownState !== undefined) {
    throw new RequestError({ field: 'states', value: unknownState, accepted: `any of ${LISTED_STATES.join(', ')}` });
  }
  if (sinceMs === undefined || Number.isFinite(sinceMs)) return filter;
  throw new RequestError({ field: 'sinceMs', value: sinceMs, accepted: 'milliseconds since 1970' });
}

/** When a schedule is due. @throws RequestError */
export function assertRepeat(given: unknown): void {
  const { every, pattern } = (given ?? {}) as { every?: unknown; pattern?: unknown };
  const isOne = typeof every === 'number' ? every >= 1 : typeof pattern === 'string' && pattern !== '';
  if (isOne) return;
  const accepted = 'an object like {"every": 3600000}, in milliseconds, or {"pattern": "0 3 * * *"}';
  throw new RequestError({ field: 'repeat', value: given, accepted });
}

/** @throws RequestError */
export function assertName(field: string, given: unknown): asserts given is string {
  if (typeof given === 'string' && given !== '') return;
  throw new RequestError({ field, value: given, accepted: 'a name' });
}

/** A request that is one of several. @throws RequestError, whose message begins with `name` */
export function parseNamed(name: string, request: JobRequestInput): JobRequest {
  try {
    return parseJob(request);
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
    const { field, value, accepted, message, issues } = error;
    throw new RequestError({ field, value, accepted, issues, message: `${name}: ${message}`, cause: error });
  }
}

/** A rate as a request's own limit takes it: a number, or a text like "100MiB". Anything else is judged as it is. */
export function rateOf(rate: number | string): number {
  try {
    return parseSize(rate);
  } catch {
    return rate as number;
  }
}

/** The rate of a limit; null lifts it. @throws RequestError for what is no object; a missing rate is judged later */
export const limitOf = (limit: { bytesPerSecond: number } | null): number | null =>
  limit === null ? null : (optionsOf(limit).bytesPerSecond as number);
