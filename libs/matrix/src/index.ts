/** The matrix: aligned row memory, how a write is cut into rows, and the control words two threads share. */
export { Arena, type ArenaMemory, HUGE_PAGE_BYTES, type RowExtent, createArenaMemory } from './arena.ts';
export { GATHERED_BYTES_MAX, type RowPlan, chooseMatrix, chooseStreamMatrix, planRows } from './plan.ts';
export { Control } from './control.ts';
export { FREEING_SLOTS, type FreeingOrder, FreeingTable, TO_CLOSE } from './freeing-table.ts';
export {
  JobBlock,
  type JobReading,
  type RowsWaitedFor,
  type Mapping,
  STOP_CANCEL,
  STOP_LOST,
  STOP_NONE,
  STOP_REASONS,
  STOP_SHUTDOWN,
} from './job-block.ts';
export { ThreadBlock, turnTime } from './thread-block.ts';
export { TallySum, ThreadTallies, ThreadTally } from './thread-tally.ts';
export { RateCell, RateTable, rateTime } from './rate.ts';
export { type RingInlet, type RingOutlet, closeRingOf, createRing } from './ring/ring.ts';
export { RingConsumer } from './ring/consumer.ts';
export { RingProducer } from './ring/producer.ts';
