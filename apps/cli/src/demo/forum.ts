/**
 * The three mistakes of the 2011 forum program, made again on purpose: rows in memory as malloc gives it, submitted to
 * a file opened with O_DIRECT. Small, real, and through the same engine, which decodes what the program did not.
 */
import { join } from 'node:path';
import { AioEngine, type AioPort, abi, libaioPort, native, syscallPort } from '@penstock/aio';
import { IoError } from '@penstock/contract';
import { type ArenaMemory, HUGE_PAGE_BYTES, createArenaMemory } from '@penstock/matrix';
import { type Alignment, statFd } from '@penstock/sink';

const ROW_COUNT = 8;
/** The forum's row. */
const ROW_BYTES = 1024;
/** glibc's malloc maps large blocks: they begin 16 bytes after a page does. */
const MALLOC_SHIFT = 16;
const REAP_MS = 1000;
// struct io_event in words; the second half of each number is only its sign.
const EVENT_RES = 4;
const EVENT_RES2 = 6;

/** What came of one round of submissions. */
export interface Round {
  /** Of the first row. */
  address: number;
  submitted: number;
  /** Every event as the kernel delivered it. */
  events: { res: number; res2: number }[];
  /** What the engine still counts as in flight. */
  inFlight: number;
}

export interface ForumFindings {
  /** What this file asks of addresses and lengths. */
  alignment: Alignment;
  rowBytes: number;
  misaligned: Round;
  aligned: Round;
  /** What Penstock says of the first misaligned row; null where this disk takes such memory. */
  message: string | null;
}

/**
 * Makes the mistakes in `directory`, on a file of its own that is removed again.
 * @throws IoError where kernel AIO or direct I/O cannot be had
 */
export function repeatForumProgram(directory: string, libaioFile: string | undefined): ForumFindings {
  const path = join(directory, 'forum-2011');
  const flags = native.O_RDWR | native.O_CREAT | native.O_EXCL | native.O_DIRECT;
  const fd = native.openat(native.AT_FDCWD, path, flags, 0o600);
  if (fd < 0) throw new IoError({ syscall: 'openat', errno: fd, path });
  native.unlinkat(native.AT_FDCWD, path); // the descriptor keeps it
  try {
    const alignment = statFd(fd, path).directAlignment ?? { memory: 512, offset: 512 };
    const rowBytes = Math.max(ROW_BYTES, alignment.offset);
    held = createArenaMemory(HUGE_PAGE_BYTES);
    const aligned = native.addressOf(new Uint8Array(held.buffer)) + held.start;
    const misaligned = aligned + shiftFor(alignment);
    const rounds = {
      misaligned: submitRows(fd, misaligned, rowBytes, libaioFile),
      aligned: submitRows(fd, aligned, rowBytes, libaioFile),
    };
    const res = rounds.misaligned.events[0]?.res ?? 0;
    const message =
      res < 0 ? new IoError({ syscall: 'pwrite', errno: res, path, offset: 0, length: rowBytes }).message : null;
    return { alignment, rowBytes, ...rounds, message };
  } finally {
    held = null;
    native.close(fd);
  }
}

// The kernel reads the rows by address alone: without this, they could be collected while in flight.
let held: ArenaMemory | null = null;

/** malloc's shift, or a smaller one for a disk that would take it: some ask for no more than 4 bytes. */
function shiftFor({ memory }: Alignment): number {
  return MALLOC_SHIFT % memory === 0 && memory > 1 ? memory / 2 : MALLOC_SHIFT;
}

function submitRows(fd: number, address: number, rowBytes: number, libaioFile: string | undefined): Round {
  const events: Round['events'] = [];
  const engine = new AioEngine(listening(libaioPort(libaioFile) ?? libaioPort() ?? syscallPort(), events), ROW_COUNT);
  try {
    for (let row = 0; row < ROW_COUNT; row += 1) {
      engine.prepWrite(engine.acquireSlot(), fd, address + row * rowBytes, rowBytes, row * rowBytes);
    }
    engine.submit();
    const submitted = engine.inFlight;
    while (engine.inFlight > 0 && engine.reap(REAP_MS) > 0);
    return { address, submitted, events, inFlight: engine.inFlight };
  } finally {
    engine.destroy();
  }
}

/** The port, with a copy of every event: the engine decodes res and never looks at res2. */
function listening(port: AioPort, heard: Round['events']): AioPort {
  return {
    ...port,
    getevents(context, min, max, events, timeoutMs) {
      const count = port.getevents(context, min, max, events, timeoutMs);
      for (let index = 0; index < count; index += 1) {
        const word = index * abi.EVENT_WORDS;
        heard.push({ res: events[word + EVENT_RES] ?? 0, res2: events[word + EVENT_RES2] ?? 0 });
      }
      return count;
    },
  };
}
