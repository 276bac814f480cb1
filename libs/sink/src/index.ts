/** A file's life: opened inside its root, written through the thread's context, made durable, published. */
export { type AttemptIdentity, isPartOf, jobKeyOf, partName, partPrefix } from './parts.ts';
export { namesUpTo, tokenOf } from './earlier-parts.ts';
export { type Root, type RootConfig, Roots } from './roots.ts';
export { RootMounts } from './root-mounts.ts';
export { RootWords } from './root-words.ts';
export { NO_JOB } from './append-record.ts';
export { type AppendAnswer, type AppendQuestion, type AskQueue, askNobody, type Fate } from './append-inquiry.ts';
export { CHECKPOINTS_DEFAULT, type CheckpointCadence } from './checkpoint.ts';
export { WriterThread } from './thread.ts';
export { BULK_LANES, type BulkOrder, runBulk } from './bulk.ts';
export { type WriteOrder, runWrite } from './write.ts';
export { makeSegmentDirectory, openSegmentDirectory, type SegmentPlace } from './segment-directory.ts';
export { type RootDevice, deviceOf, nearestExisting } from './device.ts';
export { hasMountsBelow, lineage, type Mount, mountOf, readMounts } from './mounts.ts';
export { commitsTogether, forgetsFreed } from './journal.ts';
export { type Alignment, fileSystemOf, statFd } from './stat.ts';
export { type PartFiles, type PartRecord, recordsIn, recordsInPlaces, textOfRecords } from './part-records.ts';
export { type LeftPartFate, removeLeftPart } from './left-part.ts';
