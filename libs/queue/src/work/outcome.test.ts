import { constants } from 'node:os';
import { expect, test } from '@jest/globals';
import { type BulkResult, IoError, RequestError, RootError, toWire, WriteAbortedError } from '@penstock/contract';
import { DelayedError, UnrecoverableError, WaitingError } from 'bullmq';
import { BulkError } from '../flow/bulk-error.ts';
import { failedBy, LOST, outcomeOf, PUT_BACK, resultOf } from './outcome.ts';

const first = { mayWait: true, begins: 1 };
const io = (code: keyof typeof constants.errno, syscall = 'pwrite'): IoError =>
  new IoError({ syscall, errno: -constants.errno[code], path: '/data/a.bin' });

test('a failure has the same outcome as an Error and as the plain data that a thread reports', () => {
  for (const error of [
    io('EIO'),
    io('ENOSPC'),
    io('EROFS'),
    new RequestError({ field: 'size', accepted: 'bytes' }),
    new WriteAbortedError('cancel'),
    new WriteAbortedError('shutdown'),
    new WriteAbortedError('lost'),
  ]) {
    const { kind } = outcomeOf(error, first);
    expect([error.message, outcomeOf(toWire(error), first)]).toMatchObject([error.message, { kind }]);
  }
});

test('the verdict decides: failed, retry, or wait with its cause', () => {
  expect(outcomeOf(io('EROFS'), first)).toMatchObject({ kind: 'failed', failure: { error: { code: 'EROFS' } } });
  expect(outcomeOf(io('EIO'), first)).toMatchObject({ kind: 'retry', failure: { error: { code: 'EIO' } } });
  expect(outcomeOf(io('ENOSPC'), first)).toMatchObject({ kind: 'wait', cause: 'space', root: null });
  const sick = new RootError({ root: 'data', host: 'a', reason: 'read-only file system' });
  expect(outcomeOf(sick, first)).toMatchObject({ kind: 'wait', cause: 'the root', root: 'data' });
});

test('a host that lets no job wait counts such failures as attempts', () => {
  expect(outcomeOf(io('ENOSPC'), { mayWait: false, begins: 1 })).toMatchObject({ kind: 'retry' });
});

test('a write that a shutdown stopped is put back, a cancelled one has failed, and a cancelled system call is retried', () => {
  expect(outcomeOf(new WriteAbortedError('shutdown'), first)).toBe(PUT_BACK);
  expect(outcomeOf(toWire(new WriteAbortedError('lost')), first)).toBe(PUT_BACK);
  expect(outcomeOf(toWire(new WriteAbortedError('cancel')), first)).toMatchObject({ kind: 'failed' });
  expect(outcomeOf(io('ECANCELED'), first)).toMatchObject({ kind: 'retry' });
  const items = [{ path: 'a', error: toWire(io('ECANCELED')) }];
  const bulk = new BulkError({ files: 1, failed: 1, items } as unknown as BulkResult);
  expect(outcomeOf(bulk, first)).toMatchObject({ kind: 'retry' });
});

test('a job whose thread ended beside it is put back ten times, and then the attempt counts', () => {
  const died = Object.assign(new Error('died'), { code: 'EWRITERDIED', retryable: true, blameless: true });
  expect(outcomeOf(died, { mayWait: true, begins: 10 })).toBe(PUT_BACK);
  expect(outcomeOf(died, { mayWait: true, begins: 11 })).toMatchObject({ kind: 'retry' });
});

test('details for the log: the first files of a bulk that failed, and what a stopped write has left', () => {
  const items = Array.from({ length: 22 }, (_, index) => ({ path: `${index}`, error: toWire(io('EIO')) }));
  const result = { files: 22, failed: 22, items } as unknown as BulkResult;
  const bulk = outcomeOf(new BulkError(result), first);
  expect(bulk).toMatchObject({ kind: 'retry', failure: { details: { length: 21 } } });
  const left = new WriteAbortedError('cancel', { cause: new Error('its disk does not answer') });
  expect(outcomeOf(left, first)).toMatchObject({ failure: { details: ['its disk does not answer'] } });
});

test('BullMQ takes the result, or an error that means the same to it', () => {
  const result = { bytes: 1 } as never;
  expect(resultOf({ kind: 'completed', result })).toBe(result);
  const permanent = io('EROFS');
  expect(() => resultOf(outcomeOf(permanent, first))).toThrow(new UnrecoverableError(permanent.message));
  expect(() => resultOf(outcomeOf(toWire(io('EIO')), first))).toThrow(new Error(io('EIO').message));
  expect(() => resultOf(outcomeOf(io('ENOSPC'), first))).toThrow(DelayedError);
  expect(() => resultOf(PUT_BACK)).toThrow(WaitingError);
  expect(() => resultOf(LOST)).toThrow(WaitingError);
  expect(() => resultOf(failedBy(new Error('cannot be read')))).toThrow(UnrecoverableError);
});

test('the stack that is kept with the job is that of the error, and one line of a failure on another thread', () => {
  const error = io('EIO');
  expect(outcomeOf(error, first)).toMatchObject({ failure: { stack: error.stack } });
  expect(outcomeOf(toWire(error), first)).toMatchObject({ failure: { stack: `IoError: ${error.message}` } });
});
