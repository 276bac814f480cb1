/**
 * What a job's hash in Redis may hold, as far as BullMQ and a host read it: what is wrong with a field, and what could
 * stand in its place.
 */

/** A field of a job's hash that cannot be read. */
export interface FieldFault {
  field: string;
  /** What is wrong with it, in words. */
  what: string;
  /** What stands in its place from now on; null: nothing. */
  mended: string | null;
}

type Fields = Readonly<Record<string, string | undefined>>;

/** The fields that hold whole numbers: Redis itself refuses to count up anything else. */
const COUNTS = ['ats', 'atm', 'attemptsMade', 'stc', 'again'] as const;

/** Numbers that BullMQ reads with parseInt, and stores again. */
const NUMBERS = ['delay', 'priority', 'processedOn', 'finishedOn'] as const;

/** All that is wrong with the job whose hash has these fields; `nowMs` stands in for a time that is not there. */
export function faultsOf(fields: Fields, nowMs: number): FieldFault[] {
  const faults: FieldFault[] = [];
  const find = (field: string, what: string | null, mended: string | null): void => {
    if (what !== null) faults.push({ field, what, mended });
  };
  const { name, data, opts, progress, parent, parentKey, steer, timestamp, returnvalue, stacktrace, rjk } = fields;
  if (name === undefined) find('name', 'is missing', 'write');
  find('data', data === undefined ? 'is missing' : faultOfJson(data), '{}');
  find('opts', faultOfObject(opts) ?? faultOfOptions(opts), '{}');
  if (progress !== undefined && progress !== '') find('progress', faultOfJson(progress), '0');
  if (parent !== undefined && parent !== '') find('parent', faultOfParent(parent), null);
  if (parentKey !== undefined && parentKey !== '') find('parentKey', faultOfKey(parentKey), null);
  if (steer !== undefined) find('steer', faultOfOrder(steer), null);
  if (rjk !== undefined && rjk !== '') find('rjk', faultOfRepeat(opts), null);
  if (returnvalue !== undefined) find('returnvalue', faultOfJson(returnvalue), 'null');
  if (stacktrace !== undefined && stacktrace !== '') find('stacktrace', faultOfList(stacktrace), '[]');
  find('timestamp', timestamp === undefined ? 'is missing' : faultOfNumber(timestamp), String(nowMs));
  for (const field of COUNTS) if (fields[field] !== undefined) find(field, faultOfCount(fields[field]), '0');
  for (const field of NUMBERS) {
    if (fields[field] !== undefined) find(field, faultOfNumber(fields[field]), field.endsWith('On') ? null : '0');
  }
  return faults;
}

function faultOfJson(text: string): string | null {
  try {
    JSON.parse(text || '{}'); // as BullMQ takes an empty one
    return null;
  } catch (error) {
    return `is no JSON (${(error as Error).message}): ${shown(text)}`;
  }
}

function faultOfObject(text: string | undefined): string | null {
  const broken = faultOfJson(text ?? '');
  if (broken !== null) return broken;
  const value: unknown = JSON.parse(text || '{}');
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? null : `is no object: ${shown(text!)}`;
}

/** What BullMQ's scripts build keys from when a job ends. */
function faultOfParent(text: string): string | null {
  const broken = faultOfObject(text);
  if (broken !== null) return broken;
  const { id, queueKey } = JSON.parse(text) as Record<string, unknown>;
  return typeof id === 'string' && typeof queueKey === 'string' ? null : `names no parent: ${shown(text)}`;
}

/** The order to a job (steer/order.ts): the script that gives the next one adds 1 to its `rev`. */
function faultOfOrder(text: string): string | null {
  const broken = faultOfObject(text);
  if (broken !== null) return broken;
  type Order = Record<string, unknown> & { cancel?: { by?: unknown } | null };
  const { rev, limit, cancel, of, starts } = JSON.parse(text) as Order;
  const isOrder =
    Number.isSafeInteger(rev) &&
    (limit === undefined || (typeof limit === 'string' && Number(limit) >= 0)) &&
    (cancel === undefined || typeof cancel?.by === 'string') &&
    (of === undefined || typeof of === 'string') &&
    (starts === undefined || Number.isSafeInteger(starts));
  return isOrder ? null : `is no order of Penstock's: ${shown(text)}`;
}

/** BullMQ adds the next job of a schedule before it hands this one over; if it cannot, it does neither. */
function faultOfRepeat(opts: string | undefined): string | null {
  if (faultOfObject(opts) !== null) return null; // which is another fault
  const { every, pattern } = (JSON.parse(opts || '{}') as { repeat?: Record<string, unknown> | null }).repeat ?? {};
  return typeof every === 'number' || typeof pattern === 'string' ? null : 'names a schedule that its opts have not';
}

const KEY_CHARACTERS_MAX = 4096;

/** A queue's key and an id, joined by a colon. BullMQ's scripts get nothing else, for all of Redis waits for them. */
const faultOfKey = (text: string): string | null =>
  text.length <= KEY_CHARACTERS_MAX && text.includes(':') ? null : `is no key of a job: ${shown(text)}`;

function faultOfList(text: string): string | null {
  const broken = faultOfJson(text);
  if (broken !== null) return broken;
  const value: unknown = JSON.parse(text);
  return Array.isArray(value) && value.every((line) => typeof line === 'string')
    ? null
    : `is no list of texts: ${shown(text)}`;
}

/** What BullMQ calculates with, or takes apart, before it hands the job to a host. */
function faultOfOptions(text: string | undefined): string | null {
  const { attempts, backoff } = JSON.parse(text || '{}') as Record<string, unknown>;
  if (attempts !== undefined && attempts !== null && !Number.isFinite(attempts)) {
    return `has attempts of ${shown(JSON.stringify(attempts))}, which is no number`;
  }
  const isBackoff = backoff == null || typeof backoff === 'number' || typeof backoff === 'object';
  return isBackoff
    ? null
    : `has a backoff of ${shown(JSON.stringify(backoff))}, which is neither a number nor an object`;
}

/** What Redis counts up: it takes no zeros before the number either. */
const COUNT = /^(?:0|-?[1-9]\d{0,14})$/;

export const isCount = (text: string): boolean => COUNT.test(text);

const faultOfCount = (text: string): string | null => (isCount(text) ? null : `is no whole number: ${shown(text)}`);

const faultOfNumber = (text: string): string | null =>
  Number.isNaN(Number.parseInt(text, 10)) ? `is no number: ${shown(text)}` : null;

const SHOWN_CHARACTERS_MAX = 40;

const shown = (text: string): string =>
  JSON.stringify(text.length > SHOWN_CHARACTERS_MAX ? `${text.slice(0, SHOWN_CHARACTERS_MAX)}…` : text);
