/** The writer thread: its entry and what crosses to it and back. */
export {
  type BulkTask,
  type EngineChoice,
  type FromWriter,
  type QueueAnswer,
  type ToWriter,
  type WriterAnswer,
  type WriterQuestion,
  type WriterSession,
  type WriteTask,
  type WriterSetup,
  type WriterTask,
  writerEntry,
} from './protocol.ts';
