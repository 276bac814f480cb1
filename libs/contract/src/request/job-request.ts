/** What a job of the queue asks for, as types: a single request, or a bulk, and the requests that it stands for. */
import {
  type BulkItem,
  type BulkRequest,
  type BulkRequestInput,
  usualPublish,
  type WriteRequest,
  type WriteRequestInput,
} from './write-request.ts';

/** What a job of the queue asks for. */
export type JobRequest = WriteRequest | BulkRequest;
/** The same as a producer sends it. */
export type JobRequestInput = WriteRequestInput | BulkRequestInput;

/** The single requests that a bulk stands for. */
export const requestsOf = (bulk: BulkRequest): WriteRequest[] => bulk.files.map((item) => requestOf(bulk, item));

/** The single request that `item` of `bulk` stands for. Field by field: a spread of both takes ten times as long. */
export function requestOf(bulk: BulkRequest, item: BulkItem): WriteRequest {
  const mode = item.mode ?? bulk.mode;
  const request: WriteRequest = {
    path: item.path,
    root: item.root ?? bulk.root,
    source: item.source ?? bulk.source,
    mode,
    publish: item.publish ?? bulk.publish ?? usualPublish(mode),
    durability: item.durability ?? bulk.durability,
  };
  const size = item.size ?? bulk.size;
  if (size !== undefined) request.size = size;
  const matrix = item.matrix ?? bulk.matrix;
  if (matrix !== undefined) request.matrix = matrix;
  const offset = item.offset ?? bulk.offset;
  if (offset !== undefined) request.offset = offset;
  const checksum = item.checksum ?? bulk.checksum;
  if (checksum !== undefined) request.checksum = checksum;
  const expected = item.expect ?? bulk.expect;
  if (expected !== undefined) request.expect = expected;
  const verify = item.verify ?? bulk.verify;
  if (verify !== undefined) request.verify = verify;
  const fileMode = item.fileMode ?? bulk.fileMode;
  if (fileMode !== undefined) request.fileMode = fileMode;
  return request;
}

/** The roots that `request` names, each once: those of its files, and of the files that these are copies of. */
export function rootsOf(request: JobRequest): string[] {
  const roots = new Set<string>();
  for (const item of 'files' in request ? request.files : [request]) {
    const source = item.source ?? request.source;
    roots.add(item.root ?? request.root);
    if (source.kind === 'file') roots.add(source.root);
  }
  return [...roots];
}
