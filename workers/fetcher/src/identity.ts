/**
 * The identity of an answer, by which two answers of one url are compared: a strong ETag, else the date of the last change,
 * and the length if it is known. A fetch goes on from where an earlier one ended only if the server confirms that it still
 * has the same bytes.
 */
import type { IncomingHttpHeaders } from 'node:http';

const TAG = 'etag ';
const DATE = 'modified ';

export function header(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value[0] : value;
}

/** The identity of an answer; null if the server sends nothing for it: such a fetch always begins at 0. */
export function identityOf(headers: IncomingHttpHeaders, totalBytes: number | null): string | null {
  const tag = strongTag(headers);
  if (tag !== null) return totalBytes === null ? TAG + tag : `${TAG}${tag}; ${totalBytes} bytes`;
  const modified = Date.parse(header(headers, 'last-modified') ?? '');
  if (Number.isNaN(modified) || totalBytes === null) return null;
  // Changed twice within its second it would have the same date (RFC 9110, 8.8.2.2).
  const answered = Date.parse(header(headers, 'date') ?? '');
  if (Number.isNaN(answered) || answered - modified < 1000) return null;
  return `${DATE}${header(headers, 'last-modified')}; ${totalBytes} bytes`;
}

function strongTag(headers: IncomingHttpHeaders): string | null {
  const tag = header(headers, 'etag');
  return tag !== undefined && /^"[\x21\x23-\x7e\x80-\xff]*"$/.test(tag) ? tag : null;
}

/** The If-Range of a request for the rest of what `identity` stands for; null if it is none of ours. */
export function ifRangeOf(identity: string): string | null {
  if (identity.startsWith(TAG)) return identity.slice(TAG.length, identity.lastIndexOf('"') + 1);
  return identity.startsWith(DATE) ? identity.slice(DATE.length, identity.lastIndexOf(';')) : null;
}

/**
 * True if an answer of 206 goes on with what `identity` stands for. Beside an If-Range a server need not repeat the date
 * (RFC 9110, 15.3.7): its answer 206 means that it is the same, and the length is compared.
 */
export function goesOn(identity: string, headers: IncomingHttpHeaders, totalBytes: number | null): boolean {
  if (!hasLength(identity, totalBytes)) return false;
  if (identity.startsWith(TAG)) return strongTag(headers) === ifRangeOf(identity);
  return header(headers, 'last-modified') === undefined || identityOf(headers, totalBytes) === identity;
}

/** False if `identity` has another length: the same tag or date is no proof of the same bytes then. */
export function hasLength(identity: string, totalBytes: number | null): boolean {
  const [, known] = /; (\d+) bytes$/.exec(identity) ?? [];
  return known === undefined || Number(known) === totalBytes;
}

/** 'bytes 5-9/10' as numbers; `totalBytes` null for '*'. null for anything else. */
export function contentRange(
  text: string | undefined,
): { first: number; last: number; totalBytes: number | null } | null {
  const [, first, last, total] = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)$/i.exec(text?.trim() ?? '') ?? [];
  if (first === undefined || last === undefined) return null;
  return { first: Number(first), last: Number(last), totalBytes: total === '*' ? null : Number(total) };
}
