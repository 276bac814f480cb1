import { expect, test } from '@jest/globals';
import { checkAio, checkHugePages, checkKernel, loadedLibrary } from './machine.ts';

test('a kernel is judged by the calls it has', () => {
  expect(checkKernel('6.1.0-18-amd64').verdict).toBe('ok');
  expect(checkKernel('7.0.0').verdict).toBe('ok');
  expect(checkKernel('5.10.0')).toMatchObject({ verdict: 'warn', found: expect.stringContaining('alignments') });
  expect(checkKernel('4.19.0')).toMatchObject({ verdict: 'warn', found: expect.stringContaining('openat2') });
});

test('huge pages are fine on advice and always, and missed when off', () => {
  expect(checkHugePages('always [madvise] never', 'Hugepagesize:       2048 kB')).toMatchObject({
    verdict: 'ok',
    found: expect.stringContaining('2.00 MiB'),
  });
  expect(checkHugePages('[always] madvise never', '').verdict).toBe('ok');
  expect(checkHugePages('always madvise [never]', '')).toMatchObject({
    verdict: 'warn',
    remedy: expect.stringContaining('echo madvise'),
  });
  expect(checkHugePages('', '').verdict).toBe('warn');
});

test('the library is named by the file that is mapped', () => {
  const maps = '7f00-7f01 r-xp 00000000 fe:00 123    /usr/lib/x86_64-linux-gnu/libaio.so.1.0.2\n7f02 rw-p [heap]';
  expect(loadedLibrary(maps)).toBe('/usr/lib/x86_64-linux-gnu/libaio.so.1.0.2');
  expect(loadedLibrary('nothing')).toBeUndefined();
});

test('a context is really made and destroyed', () => {
  expect(checkAio(undefined).found).toMatch(/fs\.aio-nr \d+ of fs\.aio-max-nr \d+/);
});
