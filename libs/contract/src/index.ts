/** The contract: what travels between producers, the queue, hosts and their threads. How it is judged: judging.ts. */
export { type JobRequest, type JobRequestInput, requestOf, requestsOf, rootsOf } from './request/job-request.ts';
export { codeOfErrno, isRetryable, textOfCode } from './errors/errno.ts';
export { fromWire } from './errors/from-wire.ts';
export { IntegrityError } from './errors/integrity-error.ts';
export { IoError, type IoErrorDetails } from './errors/io-error.ts';
export { RequestError, type RequestErrorDetails, type RequestIssue } from './errors/request-error.ts';
export { toWire } from './errors/to-wire.ts';
export { type WireError } from './errors/wire-error.ts';
export {
  type AbortReason,
  type Cancellation,
  cancelMessage,
  parseCancelMessage,
  WriteAbortedError,
} from './errors/write-aborted-error.ts';
export {
  ANY_HOST,
  CHECKSUMS,
  type ChecksumName,
  DURABILITIES,
  HOLES,
  HOST_NAME,
  INLINE_BYTES_MAX,
  MODES,
  MTIMES,
  PATTERN_NAMES,
  type PatternName,
  PUBLISHES,
  REFLINKS,
} from './fields/fields.ts';
export { inTime } from './deadline.ts';
export { hintFor } from './errors/hints.ts';
export { escapeControls, printableJson, printValue } from './text/print.ts';
export { parseRedisUrl } from './text/redis-url.ts';
export { isAtLeast } from './text/version.ts';
export { type AppendAnswer, type AppendQuestion, type Fate } from './report/append-answer.ts';
export { noProgress, type Phase, PHASES, type WriteProgress } from './report/progress.ts';
export { knownBytes } from './request/known-bytes.ts';
export { extentsEnd } from './request/source-size.ts';
export type {
  Extent,
  ExtentsSource,
  FileSource,
  InlineSource,
  ManifestSource,
  PatternSource,
  PatternSourceInput,
  ShmSource,
  StreamSource,
  UrlSource,
  WriteSource,
  WriteSourceInput,
} from './request/source.ts';
export {
  type BulkItem,
  type BulkRequest,
  type BulkRequestInput,
  changesInPlace,
  type MatrixShape,
  type WriteRequest,
  type WriteRequestInput,
} from './request/write-request.ts';
export {
  type BulkItemResult,
  type BulkResult,
  type CopyWay,
  type Engine,
  ENGINE_CHOICES,
  type EngineChoice,
  type JobResult,
  type LatencySummary,
  type WriteMode,
  type WriteResult,
} from './report/result.ts';
export {
  completeResult,
  isBulkResult,
  shortLatency,
  type ShortResult,
  type ShortWriteResult,
  TIMED_PHASES,
  USUAL_ALIGNMENT,
} from './report/short-result.ts';
export { formatBytes, parseSize, SIZE_BYTES_MAX } from './text/size.ts';
export { ROOT_UNUSABLE, RootError } from './errors/root-error.ts';
