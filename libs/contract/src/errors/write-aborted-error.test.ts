import { expect, test } from '@jest/globals';
import { toWire } from './to-wire.ts';
import { parseCancelMessage, WriteAbortedError } from './write-aborted-error.ts';

test('a cancelled write stays cancelled, one that met a shutdown goes back', () => {
  expect(new WriteAbortedError('cancel')).toMatchObject({ code: 'ECANCELED', reason: 'cancel', retryable: false });
  expect(new WriteAbortedError('shutdown')).toMatchObject({ code: 'ECANCELED', reason: 'shutdown', retryable: true });
});

test('a cancelled write tells who and why, and its message is read back', () => {
  const error = new WriteAbortedError('cancel', { cancelled: { by: 'ann@ops-1', why: 'disk: needed' } });
  expect(error.message).toBe('cancelled by ann@ops-1: disk: needed');
  expect(toWire(error)).toMatchObject({ code: 'ECANCELED', by: 'ann@ops-1', why: 'disk: needed', retryable: false });
  expect(parseCancelMessage(error.message)).toEqual({ by: 'ann@ops-1', why: 'disk: needed' });
  expect(parseCancelMessage('cancelled by cron')).toEqual({ by: 'cron' });
  expect(parseCancelMessage('the write was cancelled')).toBeNull();
});
