/**
 * Durable file writes for Linux, in this process or through a queue.
 *
 * {@link openWriter} gives the engine to a program of its own: no Redis, no host. {@link WriteQueue} is the client of the
 * queue that hosts on any machine write from.
 *
 * @packageDocumentation
 */
export { AbortError } from './run/abort.ts';
export type { Bytes } from './arguments/bytes.ts';
export type {
  CallOptions,
  CopyOptions,
  FileOptions,
  FileResult,
  FlushOptions,
  SourceInput,
} from './arguments/options.ts';
export type { PathLike } from './arguments/paths.ts';
export type { Pieces } from './stream/pump.ts';
export type { WriteStreamOptions } from './stream/stream-arguments.ts';
export { FileWriteStream } from './stream/write-stream.ts';
export { type FileData, openWriter, Writer, type WriteFileOptions, type WriterOptions } from './writer.ts';

export {
  ConnectionError,
  type CleanOptions,
  type Connection,
  type FlowIds,
  type FlowOptions,
  type HostProcess,
  type HostRecord,
  type HostRoot,
  type HostState,
  type HostVitals,
  type JobDetails,
  type JobFilter,
  type JobState,
  JobStateError,
  type JobView,
  type ListedState,
  oncePerPath,
  type Repeat,
  type Schedule,
  UnknownJobError,
  type WatchEvent,
  type SteeredState,
  type WriteFlow,
  type WriteJob,
  WriteQueue,
  type WriteQueueOptions,
} from '@penstock/queue/client';

export {
  type AbortReason,
  type BulkItem,
  type BulkItemResult,
  type BulkRequest,
  type BulkRequestInput,
  type BulkResult,
  type ChecksumName,
  completeResult,
  type CopyWay,
  type Engine,
  type EngineChoice,
  type Extent,
  type ExtentsSource,
  type FileSource,
  type InlineSource,
  IoError,
  type IoErrorDetails,
  isBulkResult,
  type JobRequest,
  type JobRequestInput,
  type JobResult,
  type LatencySummary,
  type ManifestSource,
  type MatrixShape,
  type PatternName,
  type PatternSource,
  type PatternSourceInput,
  type Phase,
  RequestError,
  type RequestErrorDetails,
  type RequestIssue,
  type ShmSource,
  type ShortResult,
  type ShortWriteResult,
  type StreamSource,
  type UrlSource,
  type WireError,
  WriteAbortedError,
  type WriteMode,
  type WriteProgress,
  type WriteRequest,
  type WriteRequestInput,
  type WriteResult,
  type WriteSource,
  type WriteSourceInput,
} from '@penstock/contract';
