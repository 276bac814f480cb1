/** Writes through a pool on disks of settable speed, and what such a disk still does once a write was told to stop. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { JobRequestInput } from '@penstock/contract';
import { parseJob } from '@penstock/contract/judging';
import { type RunningWrite, WriterPool } from '@penstock/writer';
import { SettableDisk } from '../../disks/settable-disk.ts';

const scratch = fileURLToPath(new URL('../../../.cache/scratch/', import.meta.url));

export const MIB = 1_048_576;

/** What one stop came to. */
export interface Stopped {
  /** From the order to the end of the write. */
  ms: number;
  /** What the disk did meanwhile: it is slow, so this tells what was in flight, however busy the machine is. */
  bytes: number;
  outcome: unknown;
}

export class SlowDisks {
  readonly home: string;
  readonly disks: SettableDisk[] = [];
  pool: WriterPool | undefined;
  deaths: Error[] = [];

  constructor() {
    mkdirSync(scratch, { recursive: true });
    this.home = mkdtempSync(join(scratch, 'slow-'));
  }

  async disk(options: Parameters<typeof SettableDisk.make>[1] = {}): Promise<SettableDisk> {
    const disk = await SettableDisk.make(this.home, options);
    this.disks.push(disk);
    return disk;
  }

  /** A pool of one thread, with the disks as its roots "0", "1" and so on. */
  open(more: Partial<ConstructorParameters<typeof WriterPool>[0]> = {}): WriterPool {
    this.pool = new WriterPool({
      threads: 1,
      depth: 64,
      jobs: 32,
      memoryBytes: 134_217_728,
      roots: this.disks.map((disk, index) => ({ name: `${index}`, path: disk.mount, writable: true })),
      engine: 'auto',
      onThreadDeath: (error) => this.deaths.push(error),
      ...more,
    });
    return this.pool;
  }

  run(name: string, request: JobRequestInput): RunningWrite & { outcome: Promise<unknown> } {
    const running = this.pool!.run(parseJob(request), name, 1);
    // Told by its value: a rejection that nobody waits for yet would end the process.
    return { ...running, outcome: running.done.catch((error: unknown) => error) };
  }

  /** Has `running` stop by `order`, and waits until it has. */
  async stop(running: RunningWrite, disk: SettableDisk, order: () => void, ended: Promise<unknown>): Promise<Stopped> {
    const before = await disk.figures();
    const begunAt = performance.now();
    order();
    running.wake();
    const outcome = await ended;
    const ms = performance.now() - begunAt;
    const after = await disk.figures();
    return { ms, bytes: after.bytesWritten + after.bytesRead - before.bytesWritten - before.bytesRead, outcome };
  }

  async close(): Promise<void> {
    for (const disk of this.disks) {
      await disk.setRate(null);
      await disk.thaw();
    }
    await this.pool?.close();
    for (const disk of this.disks) await disk.close();
    rmSync(this.home, { recursive: true });
  }
}

/** Until the write has moved `bytes`, or has ended. */
export async function untilMoved({ block, done }: RunningWrite, bytes: number): Promise<void> {
  const over = new AbortController();
  done.then(
    () => over.abort(),
    () => over.abort(),
  );
  while (!over.signal.aborted && block.read().bytesWritten < bytes) await setTimeout(5);
}
