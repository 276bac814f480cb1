/**
 * A model of the engine over one file: each slot has a region of its own, and the model says at each moment what the
 * region holds and which slot may complete. Random commands are run against both.
 */
import { strict as assert } from 'node:assert';
import { AioEngine, SLOT_FREE } from '@penstock/aio';
import { native } from '@penstock/native';
import { Arena, createArenaMemory } from '@penstock/matrix';
import { BLOCK, TestFile } from './bench.fixture.ts';
import type { PortKind } from './ports.fixture.ts';

export const DEPTH = 8;
/** Blocks of each slot's region. */
export const REGION_BLOCKS = 4;
const REGION_BYTES = REGION_BLOCKS * BLOCK;
const NO_FD = 1_000_000;

export type Command =
  | { type: 'write'; blocks: number }
  | { type: 'read'; blocks: number }
  | { type: 'refused' }
  | { type: 'submit' }
  | { type: 'reap' }
  | { type: 'release' };

interface Operation {
  type: 'write' | 'read' | 'refused';
  length: number;
  /** What the row holds while it is written. */
  fill: number;
}

export class EngineModel {
  readonly engine: AioEngine;
  readonly #kind: PortKind;
  readonly #file: TestFile;
  readonly #arena: Arena;
  /** What the file should hold. */
  readonly #expected: Uint8Array = new Uint8Array(DEPTH * REGION_BYTES);
  /** By slot: what is prepared or in flight there. */
  readonly #pending = new Map<number, Operation>();
  /** Slots that completed and were not released. */
  readonly #held: number[] = [];
  #fill = 0;
  /** Operations that completed, whole, in part or not. */
  completions = 0;
  prepared = 0;

  constructor(kind: PortKind, make: PortKind['make']) {
    this.#kind = kind;
    this.#file = new TestFile(new Uint8Array(DEPTH * REGION_BYTES));
    this.#arena = new Arena(createArenaMemory(DEPTH * REGION_BYTES));
    this.engine = new AioEngine(make(), DEPTH);
  }

  run(commands: readonly Command[]): void {
    for (const command of commands) this.#step(command);
    this.#drain();
    this.#checkFile();
  }

  close(): void {
    this.engine.destroy();
    this.#file.close();
  }

  #step(command: Command): void {
    switch (command.type) {
      case 'submit':
        this.engine.submit();
        return;
      case 'reap':
        this.#reap();
        return;
      case 'release': {
        const slot = this.#held.shift();
        if (slot !== undefined) this.engine.releaseSlot(slot);
        return;
      }
      default:
        this.#prepare(command);
    }
  }

  #prepare(command: { type: 'write' | 'read'; blocks: number } | { type: 'refused' }): void {
    // A completed slot is used again or a free one taken, as both happen in a writer.
    const slot = this.#held.length > 2 ? this.#held.shift()! : this.engine.acquireSlot();
    if (slot === -1) {
      assert.equal(this.#held.length + this.#pending.size, DEPTH, 'a slot was lost');
      return;
    }
    assert(!this.#pending.has(slot) && !this.#held.includes(slot), `slot ${slot} was handed out twice`);
    const length = command.type === 'refused' ? BLOCK : command.blocks * BLOCK;
    this.#fill = (this.#fill % 255) + 1;
    const row = slot * REGION_BYTES;
    this.#arena.bytes.fill(this.#fill, row, row + REGION_BYTES);
    const fd = command.type === 'refused' ? NO_FD : this.#file.fd;
    if (command.type === 'read') this.engine.prepRead(slot, fd, this.#arena.address + row, length, row);
    else this.engine.prepWrite(slot, fd, this.#arena.address + row, length, row);
    this.#pending.set(slot, { type: command.type, length, fill: this.#fill });
    this.prepared += 1;
  }

  #reap(): void {
    const count = this.engine.reap(20);
    assert(count <= DEPTH);
    for (let index = 0; index < count; index += 1) this.#complete(this.engine.completedSlots[index]!);
  }

  #complete(slot: number): void {
    const operation = this.#pending.get(slot);
    assert(operation !== undefined, `slot ${slot} completed, and nothing was submitted there`);
    this.#pending.delete(slot);
    this.#held.push(slot);
    this.completions += 1;
    const result = this.engine.slotResult[slot]!;
    const refused = this.engine.slotRefused[slot] === 1;
    assert(result <= operation.length);
    assert(!refused || result < 0, 'a refusal has an errno');
    if (operation.type === 'refused') {
      assert.equal(result, -9, 'EBADF');
      assert.equal(refused, this.#kind.refuses);
    }
    if (result <= 0) return;
    const row = slot * REGION_BYTES;
    if (operation.type === 'write') this.#expected.fill(operation.fill, row, row + result);
    const bytes = this.#arena.bytes.subarray(row, row + result);
    assert.equal(Buffer.compare(bytes, this.#expected.subarray(row, row + result)), 0, `row of slot ${slot} is wrong`);
    if (operation.type === 'read') {
      const rest = this.#arena.bytes.subarray(row + result, row + REGION_BYTES);
      assert(
        rest.every((byte) => byte === operation.fill),
        'a read touched what it does not own up to',
      );
    }
  }

  #drain(): void {
    for (let turns = 0; this.#pending.size > 0; turns += 1) {
      assert(turns < 10_000, `${this.#pending.size} slots never completed`);
      this.engine.submit();
      this.#reap();
    }
    assert.equal(this.engine.inFlight, 0);
    assert.equal(this.engine.prepared, 0);
    assert.equal(this.completions, this.prepared);
    for (const slot of this.#held.splice(0)) this.engine.releaseSlot(slot);
    assert.equal(this.engine.freeSlots, DEPTH);
    for (let slot = 0; slot < DEPTH; slot += 1) assert.equal(this.engine.stateOf(slot), SLOT_FREE);
  }

  #checkFile(): void {
    assert.equal(native.fdatasync(this.#file.fd), 0);
    assert.equal(Buffer.compare(this.#file.content(), this.#expected), 0, 'the file is not what the events said');
  }
}
