/** The writer thread: its entry and what crosses to it and back. */
export type { EngineChoice } from '@penstock/aio';
export {
  type BulkTask,
  type FromWriter,
  type QueueAnswer,
  type ToWriter,
  type WriterAnswer,
  type WriterQuestion,
  type WriterSession,
  type WriteTask,
  type WriterSetup,
  type WriterUp,
  type WriterTask,
  writerEntry,
} from './protocol.ts';
