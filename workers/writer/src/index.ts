/** The writer thread: its entry and what crosses to it and back. */
export { type EngineChoice, type WriterAnswer, type WriterSetup, type WriterTask, writerEntry } from './protocol.ts';
