/** For tests: a port that does as its script says and no more, and records its calls. */
import { fromWords } from '@penstock/native';
import { IOCB_WORDS, loadIocb, storeEvent } from './abi.ts';
import type { AioPort } from './port.ts';

export interface StubPort {
  (iocbs: Int32Array, iocbsAddress: number): AioPort;
  /** What the next calls of submit return; an empty list takes everything. */
  readonly submitResults: number[];
  /** What the next calls of getevents return instead of events. */
  readonly waitResults: number[];
  /** The slots of each call of submit. */
  readonly offered: number[][];
  /** The calls in their order. */
  readonly calls: string[];
  /** Slots taken and not completed, in their order. */
  readonly inFlight: number[];
  /** Slots whose events the next waits bring; every slot in flight completes by itself while `automatic`. */
  readonly completing: number[];
  automatic: boolean;
  /** The result in a completed slot's event. */
  resultOf: (slot: number) => number;
  /** Called at the beginning of each submit and each wait. */
  onCall: (name: string) => void;
  setupResult: number;
  destroyResult: number;
}

export function stubPort(): StubPort {
  const createPort = (iocbs: Int32Array, iocbsAddress: number): AioPort => ({
    name: 'faulty',
    setup() {
      stub.calls.push('setup');
      return stub.setupResult;
    },
    submit(_context, count, pointers) {
      stub.calls.push('submit');
      stub.onCall('submit');
      const slots = Array.from({ length: count }, (_, index) => {
        const word = (fromWords(pointers[index * 2]!, pointers[index * 2 + 1]!) - iocbsAddress) / 4;
        const iocb = { slot: 0, opcode: 0, fd: 0, address: 0, length: 0, offset: 0 };
        return word % IOCB_WORDS === 0 ? loadIocb(iocbs, word, iocb).slot : -1;
      });
      stub.offered.push(slots);
      const result = stub.submitResults.shift() ?? count;
      if (result > 0) stub.inFlight.push(...slots.slice(0, result));
      return result;
    },
    getevents(_context, _min, max, events) {
      stub.calls.push('getevents');
      stub.onCall('getevents');
      const scripted = stub.waitResults.shift();
      if (scripted !== undefined) return scripted;
      if (stub.automatic) stub.completing.push(...stub.inFlight);
      const completing = stub.completing.splice(0, max);
      for (const [index, slot] of completing.entries()) {
        storeEvent(events, index, slot, stub.resultOf(slot));
        const place = stub.inFlight.indexOf(slot);
        if (place !== -1) stub.inFlight.splice(place, 1);
      }
      return completing.length;
    },
    destroy() {
      stub.calls.push('destroy');
      return stub.destroyResult;
    },
  });
  const stub: StubPort = Object.assign(createPort, {
    submitResults: [],
    waitResults: [],
    offered: [],
    calls: [],
    inFlight: [],
    completing: [],
    automatic: true,
    resultOf: () => 0,
    onCall: () => {},
    setupResult: 1,
    destroyResult: 0,
  });
  return stub;
}
