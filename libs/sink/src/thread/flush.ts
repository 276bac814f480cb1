/** A flush through the thread's context: one iocb, or the plain call where the kernel's AIO knows no flush. */
import { constants } from 'node:os';
import { IoError } from '@penstock/contract';
import { native } from '@penstock/native';
import type { WriterThread } from './thread.ts';

const { EINVAL } = constants.errno;

/**
 * The call that a flush stands for, and that its failure names: fsync makes permissions, times and names durable too, and
 * works on directories.
 */
export type FlushCall = 'fsync' | 'fdatasync';

/** Prepares the flush of `fd` in `slot`. It is no barrier: only writes reaped before it are covered. */
export function prepFlush(
  { engine, slots }: Pick<WriterThread, 'engine' | 'slots'>,
  slot: number,
  purpose: number,
  call: FlushCall,
  fd: number,
): void {
  slots.purpose[slot] = purpose;
  if (call === 'fsync') engine.prepFsync(slot, fd);
  else engine.prepFdatasync(slot, fd);
}

/**
 * Takes its completion, and releases the slot.
 * @returns 0, or -errno. The kernel forgets a failed flush (fsyncgate): it is never repeated.
 */
export function takeFlush(
  { engine }: Pick<WriterThread, 'engine'>,
  slot: number,
  call: FlushCall,
  fd: number,
  result: number,
  refused: boolean,
): number {
  engine.releaseSlot(slot);
  // Before Linux 4.18 AIO knows no flush: the plain call blocks the thread, and is as durable.
  if (!refused || result !== -EINVAL) return result;
  return call === 'fsync' ? native.fsync(fd) : native.fdatasync(fd);
}

/** Takes its completion, and releases the slot. @throws IoError if it failed */
export function completeFlush(
  thread: Pick<WriterThread, 'engine'>,
  slot: number,
  call: FlushCall,
  { fd, path }: { fd: number; path: string },
  result: number,
  refused: boolean,
): void {
  const outcome = takeFlush(thread, slot, call, fd, result, refused);
  if (outcome < 0) throw new IoError({ syscall: call, errno: outcome, path });
}
