import { constants } from 'node:os';
import { expect, test } from '@jest/globals';
import { AioEngine } from './engine.ts';
import { faultyPort } from './faulty.ts';
import type { AioPort } from './port.ts';
import { tryOut } from './trial.ts';
import { openEngine } from './open-engine.ts';

const { EINVAL, EIO, EPERM, ETIMEDOUT } = constants.errno;

test('a context that carries out a write and a flush is trusted, and has all its slots again', () => {
  const { engine, reason } = openEngine({ choice: 'positional', depth: 2 });
  expect(tryOut(engine)).toBeNull();
  expect(engine.freeSlots).toBe(2);
  expect(reason).toBe('positional I/O was asked for');
});

test('a context that never answers is given up, and the call named', () => {
  const silent: AioPort = {
    name: 'syscalls',
    setup: () => 1,
    submit: (_context, count) => count,
    getevents: () => 0,
    destroy: () => 0,
  };
  const engine = new AioEngine(silent, 1);
  expect(tryOut(engine)).toEqual({ syscall: 'io_getevents', errno: -ETIMEDOUT });
  engine.destroy();
});

test.each([
  ['a refused submit', { fault: 'refused', errno: EPERM }, { syscall: 'io_submit', errno: -EPERM }],
  ['a write that fails', { fault: 'failed', errno: EIO }, { syscall: 'pwrite', errno: -EIO }],
  ['a write that is cut short', { fault: 'shortWrite', amount: 3 }, { syscall: 'pwrite', errno: -EIO }],
  ['a kernel without flushes by AIO', { fault: 'refused', errno: EINVAL, when: isFlush }, null],
] as const)('%s: the refusal names the call and its errno, or there is none', (_, script, refusal) => {
  const engine = new AioEngine(faultyPort({ seed: 1, script: [script] }), 1);
  expect(tryOut(engine)).toEqual(refusal);
  engine.destroy();
});

function isFlush({ opcode }: { opcode: number }): boolean {
  return opcode >= 2;
}
