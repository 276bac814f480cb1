/** How many bytes a job will write, as far as its request gives it. */
import { extentsEnd, inlineBytes, type JobRequest, requestsOf, type WriteRequest } from '@penstock/contract';

/** Unknown sizes count as 0. Of a bulk, all files together. */
export function knownBytes(request: JobRequest): number {
  if (!('files' in request)) return bytesOf(request);
  return requestsOf(request).reduce((sum, each) => sum + bytesOf(each), 0);
}

function bytesOf({ source, size }: WriteRequest): number {
  if (source.kind === 'inline') return inlineBytes(source.data);
  if (source.kind === 'extents') return size ?? extentsEnd(source);
  return size ?? 0;
}
