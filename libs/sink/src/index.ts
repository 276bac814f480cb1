/** A file's life: opened inside its root, written through the thread's context, made durable, published. */
export { type AttemptIdentity, isPartOf, jobKeyOf, partPrefix } from './parts.ts';
export { namesUpTo, tokenOf } from './earlier-parts.ts';
export { NO_JOB } from './append-record.ts';
export { type AppendAnswer, type AppendQuestion, type AskQueue, askNobody, type Fate } from './append-inquiry.ts';
export { CHECKPOINTS_DEFAULT, type CheckpointCadence } from './checkpoint.ts';
export { WriterThread } from './thread.ts';
export { BULK_LANES, type BulkOrder, runBulk } from './bulk.ts';
export { type WriteOrder, runWrite } from './write.ts';
export { makeSegmentDirectory, openSegmentDirectory, type SegmentPlace } from './segment-directory.ts';
export { type PartFiles, type PartRecord, recordsIn, recordsInPlaces, textOfRecords } from './part-records.ts';
export { type LeftPartFate, removeLeftPart } from './left-part.ts';
