import { expect, test } from '@jest/globals';
import { Turns } from './turns.ts';

/** What has happened once all that could happen has. */
const settle = (): Promise<void> =>
  new Promise((resolve) => {
    setImmediate(resolve);
  });

test('as many run as there are places, and the others in the order in which they came', async () => {
  const turns = new Turns(2, 'writes run at once');
  const begun: number[] = [];
  for (const index of [0, 1, 2, 3, 4]) void turns.take(undefined).then(() => begun.push(index));
  await settle();
  expect(begun).toEqual([0, 1]);
  turns.release();
  await settle();
  expect(begun).toEqual([0, 1, 2]);
  turns.release();
  turns.release();
  await settle();
  expect(begun).toEqual([0, 1, 2, 3, 4]);
});

test('one that is aborted leaves the line, and takes nobody’s place', async () => {
  const turns = new Turns(1, 'writes run at once');
  await turns.take(undefined);
  const controller = new AbortController();
  const leaving = turns.take(controller.signal);
  const staying = turns.take(new AbortController().signal);
  controller.abort('enough');
  await expect(leaving).rejects.toMatchObject({ name: 'AbortError', code: 'ABORT_ERR', cause: 'enough' });
  turns.release();
  await staying;
  turns.release();
  await turns.take(undefined);
  await expect(turns.take(controller.signal)).rejects.toMatchObject({ name: 'AbortError' });
});
