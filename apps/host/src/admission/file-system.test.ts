import { setImmediate } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { FileSystem, answerInTime } from './file-system.ts';

test('a disk that does not answer is not asked again, and those that wait for it fail in time', async () => {
  let asked = 0;
  const hung = new Promise<never>(() => {});
  const disk = new FileSystem('/mnt/gone', () => {
    asked += 1;
    return hung;
  });
  expect(disk.glance()).toBeNull();
  expect(disk.glance()).toBeNull();
  expect(asked).toBe(1);
  await expect(answerInTime(hung, '/mnt/gone', 20)).rejects.toMatchObject({
    code: 'ETIMEDOUT',
    syscall: 'statfs',
    path: '/mnt/gone',
    message: expect.stringContaining('has not answered for 0.02 s'),
  });
});

test('a second look is one that was asked for after the first', async () => {
  const answers: ((bytes: number) => void)[] = [];
  let askedTwice: () => void = () => {};
  const secondAsked = new Promise<void>((resolve) => {
    askedTwice = resolve;
  });
  const disk = new FileSystem('/mnt', () => {
    return new Promise((resolve) => {
      answers.push((availableBytes) => resolve({ availableBytes, totalBytes: 9 }));
      if (answers.length === 2) askedTwice();
    });
  });
  const first = disk.look();
  const again = disk.lookAgain();
  answers[0]?.(1);
  expect(await first).toMatchObject({ availableBytes: 1 });
  await secondAsked;
  answers[1]?.(2);
  expect(await again).toMatchObject({ availableBytes: 2 });
  expect(disk.glance()).toMatchObject({ availableBytes: 2 });
});

test('what is asked to be shown lets no write through', async () => {
  let free = 1000;
  const fileSystem = new FileSystem('/somewhere', async () => ({ availableBytes: free, totalBytes: 2000 }));
  expect(fileSystem.shown(true)).toBeNull();
  await setImmediate();
  expect(fileSystem.shown(false)).toEqual({ availableBytes: 1000, totalBytes: 2000 });
  free = 10;
  expect(await fileSystem.look()).toMatchObject({ availableBytes: 10 });
});
