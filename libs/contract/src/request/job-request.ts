/** What a job of the queue asks for, as types: a single request, or a bulk, and the requests that it stands for. */
import {
  type BulkRequest,
  type BulkRequestInput,
  withPublish,
  type WriteRequest,
  type WriteRequestInput,
} from './write-request.ts';

/** What a job of the queue asks for. */
export type JobRequest = WriteRequest | BulkRequest;
/** The same as a producer sends it. */
export type JobRequestInput = WriteRequestInput | BulkRequestInput;

/** The single requests that a bulk stands for. */
export function requestsOf({ files, limit: _limit, target: _target, ...shared }: BulkRequest): WriteRequest[] {
  return files.map((item) => withPublish({ ...shared, ...item }));
}

/** The roots that `request` names, each once: those of its files, and of the files that these are copies of. */
export function rootsOf(request: JobRequest): string[] {
  const requests = 'files' in request ? requestsOf(request) : [request];
  return [...new Set(requests.flatMap(({ root, source }) => (source.kind === 'file' ? [root, source.root] : [root])))];
}
