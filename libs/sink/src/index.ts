/** A file's life: opened inside its root, written through the thread's context, made durable, published. */
export { tryLock } from './attempt/lock.ts';
export { isPartOf, jobKeyOf, partPrefix } from './attempt/parts.ts';
export { namesUpTo, tokenOf } from './attempt/earlier-parts.ts';
export { NO_JOB } from './append/record.ts';
export { type AskQueue, askNobody } from './append/inquiry.ts';
export { CHECKPOINTS_DEFAULT, type CheckpointCadence } from './attempt/checkpoint.ts';
export { Freeing } from './device/freeing.ts';
export { freeNext } from './device/free-next.ts';
export { WriterThread } from './thread/thread.ts';
export { BULK_LANES, type BulkOrder, runBulk } from './bulk/bulk.ts';
export { runTask, runWrite } from './write/lane.ts';
export { makeSegmentDirectory, openSegmentDirectory, type SegmentDirectory } from './origin/segment-directory.ts';
export { type PartFiles, type PartRecord, recordsIn, recordsInPlaces, textOfRecords } from './attempt/part-records.ts';
export { type LeftPartFate, removeLeftPart } from './earlier/left-part.ts';
