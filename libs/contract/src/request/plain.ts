/** A request as JSON would carry it: copied once, so that what is judged is what is then used. */
import { RequestError, issueMessage } from '../errors/request-error.ts';
import {
  INLINE_BYTES_MAX,
  ITEMS_MAX,
  SHARDS_MAX,
  acceptedAt,
  fieldName,
  lengthMessage,
  totalMessage,
} from '../fields/fields.ts';

const NESTED_FIELDS = ['matrix', 'source', 'limit', 'target'] as const;

/**
 * The own enumerable properties of a request and of the objects in it, as JSON would carry them, without prototype.
 *
 * zod reads a property several times and inherited ones too: a getter could answer differently each time, or throw.
 */
export function plainRequest(input: unknown, at: readonly string[], budget: Budget = newBudget()): unknown {
  const copy = plainObject(input, at);
  if (!isRecord(copy)) return copy;
  for (const field of NESTED_FIELDS) {
    if (Object.hasOwn(copy, field)) copy[field] = plainObject(copy[field], [...at, field]);
  }
  const { source } = copy;
  if (isRecord(source) && Object.hasOwn(source, 'extents')) {
    source['extents'] = plainList(source['extents'], [...at, 'source', 'extents'], plainExtent, budget);
  }
  if (isRecord(source) && Object.hasOwn(source, 'shards')) {
    // Texts alone, quickly judged: they are no part of the budget, and have one of their own.
    const own = { left: SHARDS_MAX, inlineCharacters: 0 };
    source['shards'] = plainList(source['shards'], [...at, 'source', 'shards'], (id) => id, own);
  }
  if (isRecord(source) && typeof source['data'] === 'string') {
    budget.inlineCharacters -= source['data'].length;
    if (budget.inlineCharacters < 0) {
      const place = [...at, 'source', 'data'];
      const message = `${fieldName(place)}: ${source['data'].length} characters are too many; give ${acceptedAt(place)}`;
      throw new RequestError({ field: fieldName(place), value: undefined, accepted: acceptedAt(place), message });
    }
  }
  return copy;
}

function plainExtent(input: unknown, at: readonly string[]): unknown {
  const copy = plainObject(input, at);
  if (isRecord(copy) && Object.hasOwn(copy, 'source')) copy['source'] = plainObject(copy['source'], [...at, 'source']);
  return copy;
}

/** What a request may still have: lists in lists must not multiply what is to be judged. */
export interface Budget {
  /** Items and extents. */
  left: number;
  /** Characters of base64. */
  inlineCharacters: number;
}

export const newBudget = (): Budget => ({
  left: ITEMS_MAX,
  inlineCharacters: Math.ceil(INLINE_BYTES_MAX / 3) * 4,
});

/** A list's items, each made plain by `copyOne`. One that is too long is refused before its items are looked at. */
export function plainList(
  value: unknown,
  at: readonly string[],
  copyOne: (item: unknown, at: readonly string[]) => unknown,
  budget: Budget,
): unknown {
  const list = plainObject(value, at);
  if (!Array.isArray(list)) return list;
  let items: unknown[];
  try {
    const { length } = list as unknown[];
    budget.left -= length;
    if (budget.left < 0) {
      const message = length > ITEMS_MAX ? lengthMessage(at, length) : totalMessage(at);
      throw new RequestError({ field: fieldName(at), value, accepted: acceptedAt(at), message });
    }
    items = Array.from({ length }, (_, index): unknown => list[index]);
  } catch (error) {
    throw error instanceof RequestError ? error : refuse(at, value, 'reading it failed', error);
  }
  return items.map((item, index) => copyOne(item, [...at, String(index)]));
}

function plainObject(value: unknown, at: readonly string[]): unknown {
  if (typeof value !== 'object' || value === null) return value;
  let copy: Record<string, unknown> | undefined;
  try {
    if (Array.isArray(value)) return value;
    // Any realm's Object.prototype has no prototype; a Map, a Date or an instance of a class has a longer chain.
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype === null || Object.getPrototypeOf(prototype) === null) {
      copy = emptyRecord();
      for (const key of Object.keys(value)) {
        const property: unknown = Reflect.get(value, key);
        // JSON drops undefined, so it is the same request without.
        if (property !== undefined) copy[key] = property;
      }
    }
  } catch (error) {
    throw refuse(at, value, 'reading it failed', error);
  }
  if (copy === undefined) throw refuse(at, value, 'it is not a plain object');
  return copy;
}

/** An object without prototype: a key "__proto__" is a property of it like any other. */
function emptyRecord(): Record<string, unknown> {
  const record: Record<string, unknown> = Object.create(null);
  return record;
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function refuse(at: readonly string[], value: unknown, fault: string, cause?: unknown): RequestError {
  const field = fieldName(at);
  const accepted = acceptedAt(at);
  return new RequestError({ field, value, accepted, message: issueMessage(field, value, accepted, fault), cause });
}
