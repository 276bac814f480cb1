/**
 * The three mistakes of the 2011 forum program, made again on purpose: memory as calloc gives it, submitted to a file
 * opened with O_DIRECT. Small, real, and through the same engine, which decodes what the program did not.
 */
import { join } from 'node:path';
import { AioEngine, type AioPort, abi, libaioPort, syscallPort } from '@penstock/aio';
import { native } from '@penstock/native';
import { IoError } from '@penstock/contract';
import { createArenaMemory } from '@penstock/matrix';
import { type Alignment, statFd } from '@penstock/disk';

const WRITE_COUNT = 8;
/** Whole pages: newer kernels take a misaligned write, as long as it stays within one page. */
const WRITE_BYTES = 4096;
const CALLOC_SHIFT = 16;
/** The forum's matrix. */
const FORUM_BYTES = 1_048_576;
const REAP_MS = 1000;
// struct io_event in words; the second half of each number is only its sign.
const EVENT_RES = 4;
const EVENT_RES2 = 6;

/** What came of one round of submissions. */
interface Round {
  /** Of the first write's memory. */
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
  misaligned: Round;
  aligned: Round;
  /** Penstock's error of a misaligned write; null if this disk takes such memory. */
  error: IoError | null;
}

/**
 * Makes the mistakes in `directory`, on a file of its own that is removed again.
 * @throws IoError if kernel AIO or direct I/O cannot be had
 */
export function repeatForumProgram(directory: string, libaioFile: string | undefined): ForumFindings {
  const path = join(directory, 'forum-2011');
  const flags = native.O_RDWR | native.O_CREAT | native.O_EXCL | native.O_DIRECT;
  const fd = native.openat(native.AT_FDCWD, path, flags, 0o600);
  if (fd < 0) throw new IoError({ syscall: 'openat', errno: fd, path });
  native.unlinkat(native.AT_FDCWD, path); // the descriptor keeps it
  try {
    const alignment = statFd(fd, path).directAlignment ?? { memory: 512, offset: 512 };
    const writeBytes = Math.max(WRITE_BYTES, alignment.offset);
    const bytes = writeBytes * WRITE_COUNT;
    // V8 takes this from calloc, as the program did: memory this large begins 16 bytes after a page does.
    const calloced = new SharedArrayBuffer(FORUM_BYTES + bytes);
    const arena = createArenaMemory(bytes);
    held.add(calloced).add(arena.buffer);
    const misaligned = misalign(native.addressOf(new Uint8Array(calloced)), alignment);
    const aligned = native.addressOf(new Uint8Array(arena.buffer)) + arena.start;
    const rounds = {
      misaligned: submitAll(fd, misaligned, writeBytes, libaioFile),
      aligned: submitAll(fd, aligned, writeBytes, libaioFile),
    };
    const refused = rounds.misaligned.events.find(({ res }) => res < 0);
    const error =
      refused === undefined
        ? null
        : new IoError({ syscall: 'pwrite', errno: refused.res, path, offset: 0, length: writeBytes });
    return { alignment, ...rounds, error };
  } finally {
    held.clear();
    native.close(fd);
  }
}

// The kernel reads the memory by its address alone: without this, it could be collected while in flight.
const held = new Set<SharedArrayBuffer>();

/** `address`, moved on if it happens to suit the disk: by calloc's 16 bytes, or by less if those would suit too. */
function misalign(address: number, { memory }: Alignment): number {
  if (memory <= 1 || address % memory !== 0) return address;
  return address + (CALLOC_SHIFT % memory === 0 ? memory / 2 : CALLOC_SHIFT);
}

function submitAll(fd: number, address: number, writeBytes: number, libaioFile: string | undefined): Round {
  const events: Round['events'] = [];
  const port = listening(libaioPort(libaioFile) ?? libaioPort() ?? syscallPort(), events);
  const engine = new AioEngine(port, WRITE_COUNT);
  try {
    for (let index = 0; index < WRITE_COUNT; index += 1) {
      const done = index * writeBytes;
      engine.prepWrite(engine.acquireSlot(), fd, address + done, writeBytes, done);
    }
    engine.submit();
    const submitted = engine.inFlight;
    while (engine.inFlight > 0 && engine.reap(REAP_MS) > 0);
    return { address, submitted, events, inFlight: engine.inFlight };
  } finally {
    engine.destroy();
  }
}

/** The port, with a copy of every event: the engine decodes res and never reads res2. */
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
