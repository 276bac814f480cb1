import { expect, test } from '@jest/globals';
import { RequestError } from './request-error.ts';

test('a RequestError says what is accepted, and what is missing', () => {
  const error = new RequestError({ field: 'root', value: 'scratch', accepted: '"data" or "fast"' });
  expect(error.message).toBe('root: "scratch" is not accepted; give "data" or "fast"');
  expect(error).toMatchObject({ name: 'RequestError', code: 'EBADREQUEST', retryable: false, value: 'scratch' });
  expect(error.issues).toHaveLength(1);
  expect(new RequestError({ field: 'size', accepted: 'bytes' }).message).toBe('size: missing; give bytes');
});
