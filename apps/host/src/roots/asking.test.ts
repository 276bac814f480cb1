import { setImmediate } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import { type Asked, type AskInThread, askRoots, type RootAnswer } from './asking.ts';

const root = (name: string): Asked => ({ name, path: `/${name}`, isMade: false });

/** Threads that answer at once but for the roots in `silent`: there they stay until they are let go. */
function threadsWith(silent: Set<string>) {
  const held: (() => void)[] = [];
  let begun = 0;
  const ask: AskInThread = (roots, onAnswer) => {
    begun += 1;
    let ended = false;
    const answer = async (left: readonly Asked[]): Promise<void> => {
      await setImmediate();
      const [next, ...rest] = left;
      if (next === undefined || ended) return;
      const go = (): void => {
        onAnswer({ name: next.name, device: next.name.length } satisfies RootAnswer);
        void answer(rest);
      };
      if (silent.has(next.name)) held.push(go);
      else go();
    };
    void answer(roots);
    return {
      end: () => {
        ended = true;
      },
    };
  };
  return { ask, held, begun: () => begun };
}

test('roots are asked in one thread, and each answers which device it is on', async () => {
  const { ask, begun } = threadsWith(new Set());
  const devices = await askRoots(['a', 'bb'].map(root), () => {}, ask, 10_000);
  expect([...devices]).toEqual([
    ['a', 1],
    ['bb', 2],
  ]);
  expect(begun()).toBe(1);
});

test('a root that does not answer holds up no other, and is reported when it does', async () => {
  const { ask, held } = threadsWith(new Set(['bb', 'ccc']));
  const late: unknown[] = [];
  const devices = await askRoots(['a', 'bb', 'ccc', 'dddd'].map(root), (...answer) => late.push(answer), ask, 50);
  expect([...devices.values()]).toEqual([1, null, null, 4]);
  for (const go of held) go();
  await setImmediate();
  expect(late).toEqual([
    ['bb', 2],
    ['ccc', 3],
  ]);
});

test('a root that cannot be used ends the start by its name', async () => {
  const failure = { syscall: 'mkdir', errno: -13, code: 'EACCES', path: '/a' };
  const ask: AskInThread = (_roots, onAnswer) => {
    void setImmediate().then(() => onAnswer({ name: 'a', failure }));
    return { end: () => {} };
  };
  await expect(askRoots([root('a')], () => {}, ask)).rejects.toMatchObject({
    syscall: 'mkdir',
    code: 'EACCES',
    path: '/a',
    message: expect.stringContaining('It is the root a. '),
  });
});

test('a root that is no directory is named as such, and one that is missing as missing', async () => {
  const file = fileURLToPath(import.meta.url);
  const asked = (path: string): Promise<unknown> => askRoots([{ name: 'a', path, isMade: false }], () => {});
  await expect(asked(file)).rejects.toMatchObject({ code: 'ENOTDIR', syscall: 'stat', path: file });
  await expect(asked(`${file}-none`)).rejects.toMatchObject({ code: 'ENOENT', syscall: 'stat' });
});
