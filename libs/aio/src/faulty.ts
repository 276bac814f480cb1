/**
 * The faulty double: a port that behaves as kernel AIO may, on the worst of days. What is submitted stays in flight
 * until a wait completes it, in seeded random order; only then is it carried out, on the real descriptor and the real
 * memory, so that the file has exactly the bytes that the events claim. Faults come by rate, by script, or both.
 *
 * For tests. The same seed and the same calls give the same schedule, whatever the disk does.
 */
import { strict as assert } from 'node:assert';
import { constants } from 'node:os';
import {
  EVENT_WORDS,
  IOCB_WORDS,
  type Iocb,
  OPCODE_FDSYNC,
  OPCODE_FSYNC,
  OPCODE_PREAD,
  OPCODE_PWRITE,
  loadIocb,
  storeEvent,
} from './abi.ts';
import { carryOut } from './carry-out.ts';
import { fromWords, native } from '@penstock/native';
import type { AioPort } from './port.ts';

const { EAGAIN, EBADF, EFAULT, EINTR, EINVAL, EIO, ENOSPC } = constants.errno;

/** Each fault with the moment it may strike: an opportunity. */
type FaultName =
  | 'setupRefused' // a setup: -EAGAIN
  | 'submitBusy' // a submit: -EAGAIN
  | 'submitInterrupted' // a submit: -EINTR
  | 'partialSubmit' // a submit of two or more: takes fewer
  | 'refused' // an iocb as it is submitted: -errno (EBADF) for it alone, and no event
  | 'waitInterrupted' // a wait: -EINTR
  | 'emptyWait' // a wait with something in flight: no event, as if its time had passed
  | 'delayed' // an iocb in flight in a wait: completes later
  | 'shortWrite' // a write of two bytes or more as it completes: part of it
  | 'shortRead' // the same of a read
  | 'failed'; // an iocb as it completes: -errno in its event, and nothing is carried out

/** A fault that must come, at one opportunity. */
interface ScriptedFault {
  fault: FaultName;
  /** Which opportunity, counted from 0 among those that `when` accepts. Default 0. */
  nth?: number;
  /** At how many in a row, from the nth on. Default 1. */
  times?: number;
  /** Which iocbs are meant, of the faults that strike a single one. Default all. */
  when?: (iocb: Readonly<Iocb>) => boolean;
  /** For `refused` and `failed`: a positive errno. Default EBADF and EIO. */
  errno?: number;
  /** For the short ones: the bytes done. For `partialSubmit`: the iocbs taken. Default drawn. */
  amount?: number;
}

export interface FaultyOptions {
  seed: number;
  /** The chance of each fault at each of its opportunities, 0 to 1. */
  faults?: Partial<Record<FaultName, number>>;
  script?: readonly ScriptedFault[];
  /** iocbs that a context holds before a submit is -EAGAIN. Default: the depth it was made for. */
  ringSlots?: number;
  /** iocbs that all contexts of this double may be made for together (fs.aio-max-nr). Default 65,536. */
  aioMax?: number;
}

/** A PortFactory, and how often each fault has struck: a test asserts that its fault did. */
export interface FaultyFactory {
  (iocbs: Int32Array, iocbsAddress: number): AioPort;
  readonly fired: Readonly<Record<FaultName, number>>;
}

interface Context {
  depth: number;
  ringSlots: number;
  inFlight: Iocb[];
  /** A refusal met behind iocbs that were taken: it is returned when that iocb is the head. */
  refusalDue: { pointer: number; errno: number } | null;
}

interface Strike {
  errno: number | undefined;
  amount: number | undefined;
}

const UNSCRIPTED: Strike = { errno: undefined, amount: undefined };
const RANDOM_ERRNOS = [EIO, ENOSPC, EINVAL];
const SECTOR_BYTES = 512;

const statfsBuffer = new Uint8Array(new ArrayBuffer(120));
const waitCell = new Int32Array(new SharedArrayBuffer(4));

/** mulberry32: 32 bits of state, uniform in [0, 1). */
function createRandom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export function faultyPort(options: FaultyOptions): FaultyFactory {
  const random = createRandom(options.seed);
  /** Uniform in [low, high]. */
  const draw = (low: number, high: number): number => low + Math.floor(random() * (high - low + 1));
  const rates = options.faults ?? {};
  const script = (options.script ?? []).map((entry) => ({ entry, seen: 0 }));
  const fired: Record<FaultName, number> = {
    setupRefused: 0,
    submitBusy: 0,
    submitInterrupted: 0,
    partialSubmit: 0,
    refused: 0,
    waitInterrupted: 0,
    emptyWait: 0,
    delayed: 0,
    shortWrite: 0,
    shortRead: 0,
    failed: 0,
  };
  const contexts = new Map<number, Context>();
  let contextsMade = 0;

  /** An opportunity of `fault`: null if it does not strike. */
  function strikes(fault: FaultName, iocb?: Readonly<Iocb>): Strike | null {
    let strike: Strike | null = null;
    for (const scripted of script) {
      const { entry } = scripted;
      if (entry.fault !== fault || (entry.when !== undefined && (iocb === undefined || !entry.when(iocb)))) continue;
      const first = entry.nth ?? 0;
      if (scripted.seen >= first && scripted.seen < first + (entry.times ?? 1)) {
        strike ??= { errno: entry.errno, amount: entry.amount };
      }
      scripted.seen += 1;
    }
    const rate = rates[fault] ?? 0;
    if (rate > 0 && random() < rate) strike ??= UNSCRIPTED;
    if (strike !== null) fired[fault] += 1;
    return strike;
  }

  /** What the kernel itself would return for `iocb` at submit: 0 if it takes it. */
  function faultOf(iocb: Readonly<Iocb>): number {
    if (native.fstatfs(iocb.fd, statfsBuffer) === -EBADF) return -EBADF;
    switch (iocb.opcode) {
      case OPCODE_FSYNC:
      case OPCODE_FDSYNC:
        return iocb.address === 0 && iocb.length === 0 && iocb.offset === 0 ? 0 : -EINVAL;
      case OPCODE_PREAD:
      case OPCODE_PWRITE:
        if (iocb.offset < 0) return -EINVAL;
        // Of no bytes: changes nothing, and fails if the descriptor is not open for it.
        return carryOut({ ...iocb, length: 0, offset: 0 }) === -EBADF ? -EBADF : 0;
      default:
        return -EINVAL;
    }
  }

  function complete(iocb: Readonly<Iocb>): number {
    const failure = strikes('failed', iocb);
    if (failure !== null) {
      return -(failure.errno ?? (failure === UNSCRIPTED ? RANDOM_ERRNOS[draw(0, RANDOM_ERRNOS.length - 1)]! : EIO));
    }
    const isWrite = iocb.opcode === OPCODE_PWRITE;
    if ((isWrite || iocb.opcode === OPCODE_PREAD) && iocb.length > 1) {
      const strike = strikes(isWrite ? 'shortWrite' : 'shortRead', iocb);
      if (strike !== null) return carryOutPart({ ...iocb, length: strike.amount ?? partOf(iocb.length) });
    }
    return carryOut(iocb);
  }

  /** A length below `length`: if there are two sectors, of whole ones in half of the cases, else any. */
  function partOf(length: number): number {
    const sectors = Math.floor((length - 1) / SECTOR_BYTES);
    return sectors > 0 && random() < 0.5 ? draw(1, sectors) * SECTOR_BYTES : draw(1, length - 1);
  }

  /** A part that direct I/O would refuse is carried out through the page cache: the event must not lie. */
  function carryOutPart(part: Readonly<Iocb>): number {
    const result = carryOut(part);
    if (result !== -EINVAL) return result;
    const flags = part.opcode === OPCODE_PWRITE ? native.O_WRONLY : native.O_RDONLY;
    const buffered = native.openat(native.AT_FDCWD, `/proc/self/fd/${part.fd}`, flags, 0);
    if (buffered < 0) return buffered;
    const partResult = carryOut({ ...part, fd: buffered });
    native.close(buffered);
    return partResult;
  }

  function createPort(iocbs: Int32Array, iocbsAddress: number): AioPort {
    /** The iocb at `pointer`, copied as the kernel copies it: null if the pointer is not one of the array's. */
    function fetch(pointer: number): Iocb | null {
      const word = (pointer - iocbsAddress) / 4;
      if (word % IOCB_WORDS !== 0 || word < 0 || word >= iocbs.length) return null;
      return loadIocb(iocbs, word, { slot: 0, opcode: 0, fd: 0, address: 0, length: 0, offset: 0 });
    }

    /** Takes the iocb at `pointer` into the context: 0, or -errno. */
    function take(context: Context, pointer: number): number {
      if (context.inFlight.length >= context.ringSlots) return -EAGAIN;
      const iocb = fetch(pointer);
      if (iocb === null) return -EFAULT;
      const strike = context.refusalDue?.pointer === pointer ? null : strikes('refused', iocb);
      if (strike !== null) context.refusalDue = { pointer, errno: strike.errno ?? EBADF };
      if (context.refusalDue?.pointer === pointer) return -context.refusalDue.errno;
      const fault = faultOf(iocb);
      if (fault === 0) context.inFlight.push(iocb);
      return fault;
    }

    return {
      name: 'faulty',

      setup(depth) {
        if (strikes('setupRefused') !== null) return -EAGAIN;
        if (depth < 1) return -EINVAL;
        const made = [...contexts.values()].reduce((sum, context) => sum + context.depth, 0);
        if (made + depth > (options.aioMax ?? 65_536)) return -EAGAIN;
        contextsMade += 1;
        contexts.set(contextsMade, { depth, ringSlots: options.ringSlots ?? depth, inFlight: [], refusalDue: null });
        return contextsMade;
      },

      submit(contextId, count, pointers) {
        const context = contexts.get(contextId);
        if (context === undefined) return -EINVAL;
        if (strikes('submitInterrupted') !== null) return -EINTR;
        if (strikes('submitBusy') !== null) return -EAGAIN;
        const partial = count > 1 ? strikes('partialSubmit') : null;
        const wanted = partial === null ? count : (partial.amount ?? draw(1, count - 1));
        for (let taken = 0; taken < wanted; taken += 1) {
          const result = take(context, fromWords(pointers[taken * 2]!, pointers[taken * 2 + 1]!));
          if (result === 0) continue;
          if (taken > 0) return taken;
          if (result !== -EAGAIN) context.refusalDue = null;
          return result;
        }
        return wanted;
      },

      getevents(contextId, min, max, events, timeoutMs) {
        const context = contexts.get(contextId);
        assert(context !== undefined, 'io_getevents after io_destroy: with libaio this is a SIGSEGV');
        assert(timeoutMs >= 0, 'io_getevents with a negative time waits for ever');
        if (strikes('waitInterrupted') !== null) return -EINTR;
        if (context.inFlight.length === 0) {
          if (min > 0) Atomics.wait(waitCell, 0, 0, timeoutMs);
          return 0;
        }
        if (strikes('emptyWait') !== null) return 0;
        const waiting = context.inFlight;
        context.inFlight = waiting.filter((iocb) => strikes('delayed', iocb) !== null);
        const completing = waiting.filter((iocb) => !context.inFlight.includes(iocb));
        let count = 0;
        while (completing.length > 0 && count < Math.min(max, events.length / EVENT_WORDS)) {
          const [iocb] = completing.splice(draw(0, completing.length - 1), 1);
          storeEvent(events, count, iocb!.slot, complete(iocb!));
          count += 1;
        }
        context.inFlight.push(...completing);
        return count;
      },

      destroy(contextId) {
        const context = contexts.get(contextId);
        if (context === undefined) return -EINVAL;
        contexts.delete(contextId);
        // The kernel lets the I/O finish and throws its events away.
        for (const iocb of context.inFlight) complete(iocb);
        return 0;
      },
    };
  }

  return Object.assign(createPort, { fired });
}
