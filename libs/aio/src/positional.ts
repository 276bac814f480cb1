/**
 * The port for machines where kernel AIO cannot be had (an old kernel, a seccomp filter, gVisor): every iocb is
 * carried out by pread or pwrite while it is submitted. Correct, but synchronous: results name it.
 */
import { EVENT_WORDS, IOCB_WORDS, type Iocb, loadIocb, storeEvent } from './abi.ts';
import { fromWords } from '@penstock/native';
import { carryOut } from './carry-out.ts';
import type { AioPort } from './port.ts';

const EAGAIN = 11;

/** `iocbs` and `iocbsAddress` name the array that pointers point into: the engine's own. */
export function positionalPort(iocbs: Int32Array, iocbsAddress: number): AioPort {
  const iocb: Iocb = { slot: 0, opcode: 0, fd: 0, address: 0, length: 0, offset: 0 };
  let ready = new Int32Array(0); // events that wait to be reaped, oldest first
  let readyCount = 0;

  return {
    name: 'positional',
    setup(depth) {
      ready = new Int32Array(depth * EVENT_WORDS);
      readyCount = 0;
      return 1;
    },
    submit(_context, count, pointers) {
      let taken = 0;
      while (taken < count && (readyCount + 1) * EVENT_WORDS <= ready.length) {
        const address = fromWords(pointers[taken * 2]!, pointers[taken * 2 + 1]!);
        loadIocb(iocbs, ((address - iocbsAddress) / (IOCB_WORDS * 4)) * IOCB_WORDS, iocb);
        storeEvent(ready, readyCount, iocb.slot, carryOut(iocb));
        readyCount += 1;
        taken += 1;
      }
      return taken === 0 && count > 0 ? -EAGAIN : taken;
    },
    getevents(_context, _min, max, events) {
      const count = Math.min(max, readyCount);
      events.set(ready.subarray(0, count * EVENT_WORDS));
      ready.copyWithin(0, count * EVENT_WORDS, readyCount * EVENT_WORDS);
      readyCount -= count;
      return count;
    },
    destroy() {
      readyCount = 0;
      return 0;
    },
  };
}
