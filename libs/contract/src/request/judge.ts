/** Judging against a schema: every fault in words that name the field, the value found and what would be accepted. */
import type { z } from 'zod';
import { RequestError, type RequestIssue, issueMessage } from '../errors/request-error.ts';
import { acceptedAt, FIELDS, fieldName, isList, lengthMessage } from '../fields/fields.ts';
import { nearestField } from '../text/nearest.ts';
import { isRecord } from './plain.ts';
import { escapeControls, printValue, shorten } from '../text/print.ts';

/** Issues that are put into words: a list of thousands may have the same thing wrong with each. */
const ISSUES_MAX = 100;

/** @throws RequestError that names what in `plain` is not as `schema` wants it */
export function judge<T>(schema: z.ZodType<T>, plain: unknown, whole: 'request' | 'bulk'): T {
  const parsed = schema.safeParse(plain);
  if (parsed.success) return parsed.data;
  const { issues } = parsed.error;
  const described = issues.slice(0, ISSUES_MAX).flatMap((issue) => describeIssue(issue, plain, whole));
  throw requestError(described, Math.max(0, issues.length - ISSUES_MAX));
}

const UNKNOWN_FIELDS_MAX = 10;

function describeIssue(issue: z.core.$ZodIssue, plain: unknown, whole: 'request' | 'bulk'): RequestIssue[] {
  const at = issue.path.map(String);
  const own = valueAt(plain, at);
  // What an item leaves to its bulk is at fault there.
  const value = own === undefined && at[0] === 'files' ? valueAt(plain, at.slice(2)) : own;
  if (issue.code === 'unrecognized_keys') {
    const known = knownFields(at, value, whole);
    return issue.keys.slice(0, UNKNOWN_FIELDS_MAX).map((key) => describeUnknown(at, key, valueAt(value, [key]), known));
  }
  const field = fieldName(at);
  const accepted = acceptedBeside(issue) ?? acceptedAt(at);
  if (Array.isArray(value) && isList(at)) return [{ field, value, accepted, message: lengthMessage(at, value.length) }];
  const fault = issue.code === 'custom' && issue.message !== '' ? issue.message : undefined;
  // null is a value to be named; only undefined is missing.
  return [{ field, value, accepted, message: issueMessage(field, withoutSecrets(at, value), accepted, fault) }];
}

/** What a fault between fields accepts instead: all that the field accepts by itself may include what was refused. */
function acceptedBeside(issue: z.core.$ZodIssue): string | undefined {
  const accepted: unknown = issue.code === 'custom' ? issue.params?.['accepted'] : undefined;
  return typeof accepted === 'string' ? accepted : undefined;
}

/**
 * A refusal is logged, kept in the queue and shown on dashboards. A password may hold slashes, and a URL has backslashes
 * for slashes, or none: whatever stands before the last @ may be a part of one.
 */
function withoutSecrets(at: readonly string[], value: unknown): unknown {
  if (at.at(-1) !== 'url' || typeof value !== 'string') return value;
  return value.replace(/^([a-z][a-z\d+.-]*:)?.*@/is, '$1//***@');
}

function valueAt(value: unknown, at: readonly string[]): unknown {
  let found = value;
  for (const key of at) {
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, key)) return undefined;
    found = Reflect.get(found, key);
  }
  return found;
}

/** The fields of the object at a place. */
function knownFields(at: readonly string[], value: unknown, whole: 'request' | 'bulk'): readonly string[] {
  const place = at.at(-1) ?? whole;
  if (place === 'source' && at.includes('extents')) return FIELDS['pattern'] ?? [];
  if (place === 'source' && isRecord(value)) return FIELDS[String(value['kind'])] ?? [];
  if (/^\d+$/.test(place)) return FIELDS[at.at(-2) === 'files' ? 'item' : 'extent'] ?? [];
  return FIELDS[place] ?? [];
}

function describeUnknown(at: readonly string[], key: string, value: unknown, known: readonly string[]): RequestIssue {
  const name = escapeControls(shorten(key, 60));
  const near = nearestField(key, known);
  const accepted = known.join(', ');
  const place = at.length === 0 ? '' : `${at.join('.')}: `;
  const guess = near === undefined ? '' : `; did you mean "${near}"?`;
  return {
    field: [...at, name].join('.'),
    value,
    accepted,
    message: `${place}unknown field ${printValue(key)}${guess === '' ? ';' : guess} accepted: ${accepted}`,
  };
}

const ISSUES_IN_MESSAGE_MAX = 3;

/** @param unsaid how many more there are that are not in words */
function requestError(found: readonly RequestIssue[], unsaid: number): RequestError {
  // zod reports a value that breaks two rules twice; one sentence is enough.
  const issues = found.filter((issue, index) => found.findIndex((other) => other.message === issue.message) === index);
  const [first] = issues;
  if (first === undefined) throw new Error('zod refused a request without an issue');
  const shown = issues.slice(0, ISSUES_IN_MESSAGE_MAX).map((issue) => issue.message);
  const rest = issues.length - shown.length + unsaid;
  const message = shown.join('. Also: ') + (rest > 0 ? `. And ${rest} more` : '');
  return new RequestError({ field: first.field, value: first.value, accepted: first.accepted, message, issues });
}
