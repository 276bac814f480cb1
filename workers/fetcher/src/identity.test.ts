import { expect, test } from '@jest/globals';
import { contentRange, goesOn, identityOf, ifRangeOf } from './identity.ts';

const modified = 'Tue, 03 Nov 2026 10:00:00 GMT';
const date = 'Mon, 23 Nov 2026 10:00:00 GMT';

test('a strong tag identifies an answer, a weak one does not', () => {
  expect(identityOf({ etag: '"abc"' }, null)).toBe('etag "abc"');
  expect(identityOf({ etag: '"abc"' }, 5)).toBe('etag "abc"; 5 bytes');
  for (const identity of ['etag "abc"', 'etag "abc"; 5 bytes']) expect(ifRangeOf(identity)).toBe('"abc"');
  for (const etag of ['W/"abc"', 'abc', '"a"b"', '"a\r\nb"']) expect(identityOf({ etag }, 5)).toBeNull();
});

test('else the date of the last change and the length do, if it was changed long enough ago', () => {
  const headers = { 'last-modified': modified, date, etag: 'W/"abc"' };
  const identity = identityOf(headers, 5)!;
  expect(identity).toBe(`modified ${modified}; 5 bytes`);
  expect(ifRangeOf(identity)).toBe(modified);
  expect(identityOf(headers, null)).toBeNull();
  expect(identityOf({ ...headers, date: modified }, 5)).toBeNull();
  expect(identityOf({ 'last-modified': modified }, 5)).toBeNull();
  expect(identityOf({ 'last-modified': 'yesterday', date }, 5)).toBeNull();
  expect(ifRangeOf('something else')).toBeNull();
});

test('a part goes on with what it is a part of, and with nothing else', () => {
  expect(goesOn('etag "a"', { etag: '"a"' }, 5)).toBe(true);
  expect(goesOn('etag "a"', { etag: '"b"' }, 5)).toBe(false);
  expect(goesOn('etag "a"', {}, 5)).toBe(false);
  expect(goesOn('etag "a"; 5 bytes', { etag: '"a"' }, 5)).toBe(true);
  expect(goesOn('etag "a"; 5 bytes', { etag: '"a"' }, 6)).toBe(false);
  const identity = `modified ${modified}; 5 bytes`;
  expect(goesOn(identity, { 'last-modified': modified, date }, 5)).toBe(true);
  expect(goesOn(identity, { 'last-modified': modified, date }, 6)).toBe(false);
  expect(goesOn(identity, { 'last-modified': date, date }, 5)).toBe(false);
  expect(goesOn(identity, {}, 5)).toBe(true); // a 206 to If-Range need not repeat the date
  expect(goesOn(identity, {}, 6)).toBe(false);
});

test('a range is read as it is written, or not at all', () => {
  expect(contentRange('bytes 5-9/10')).toEqual({ first: 5, last: 9, totalBytes: 10 });
  expect(contentRange('bytes 5-9/*')).toEqual({ first: 5, last: 9, totalBytes: null });
  for (const text of [undefined, '', 'bytes */10', 'bytes 5-/10', 'lines 5-9/10', 'bytes 5-9/10, 11-12/13']) {
    expect(contentRange(text)).toBeNull();
  }
});
