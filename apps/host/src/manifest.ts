/** The manifest of a flow: what its shards came to, as JSON, written like any other file when all of them are done. */
import {
  type BulkResult,
  type JobRequest,
  RequestError,
  requestsOf,
  type WireError,
  type WriteRequest,
  type WriteResult,
} from '@penstock/contract';
import type { ShardOutcome, WriteJobInfo } from '@penstock/queue';

/** One file that a shard wrote, or did not. */
type Entry = { path: string; root?: string; host?: string } & (
  | Pick<WriteResult, 'bytes' | 'checksum' | 'offset' | 'fileBytes'>
  | { error: Pick<WireError, 'message'> & Partial<Pick<WireError, 'code'>> }
);

/**
 * The request as a thread can carry it out: a manifest becomes the bytes that it comes to, now that the shards are done.
 * @throws (rejects with) ShardError where not all shards are there that it asks for, RequestError where it does not come to
 * as many bytes as were asked for
 */
export async function withManifest(request: JobRequest, job: Pick<WriteJobInfo, 'shards'>): Promise<JobRequest> {
  if ('files' in request || request.source.kind !== 'manifest') return request;
  const shards = await job.shards(request.source);
  const bytes = Buffer.from(manifestOf(shards));
  if (request.size !== undefined && request.size !== bytes.byteLength) {
    const accepted = `${bytes.byteLength} bytes, which it comes to, or leave it out`;
    throw new RequestError({ field: 'size', value: request.size, accepted });
  }
  // Longer than what a request from outside may carry, perhaps: this one goes no further than to a thread.
  return { ...request, source: { kind: 'inline', data: bytes.toString('base64') } };
}

/** The text of the manifest: the same for each attempt. */
export function manifestOf(shards: readonly ShardOutcome[]): string {
  return `${JSON.stringify(shards.flatMap(entriesOf), null, 2)}\n`;
}

function entriesOf(shard: ShardOutcome): Entry[] {
  if ('failedReason' in shard) return failed(shard, shard.failedReason);
  const { result, request } = shard;
  if (!('items' in result)) return [entryOf(result)];
  return bulkEntries(result, request !== null && 'files' in request ? requestsOf(request) : []);
}

/** Without what tells of one attempt rather than of the file. */
function entryOf({ path, root, host, bytes, checksum, offset, fileBytes }: WriteResult): Entry {
  return {
    path,
    root,
    bytes,
    ...(checksum === undefined ? {} : { checksum }),
    ...(offset === undefined ? {} : { offset }),
    ...(fileBytes === undefined ? {} : { fileBytes }),
    ...(host === undefined ? {} : { host }),
  };
}

/** A bulk's result leaves the roots to its request. */
function bulkEntries({ items, host }: BulkResult, requests: readonly WriteRequest[]): Entry[] {
  return items.map((item, index) => {
    const root = requests[index]?.root;
    const place = { path: item.path, ...(root === undefined ? {} : { root }) };
    if ('error' in item) return { ...place, error: { code: item.error.code, message: item.error.message } };
    const { bytes, checksum } = item;
    const where = host === undefined ? {} : { host };
    return { ...place, bytes, ...(checksum === undefined ? {} : { checksum }), ...where };
  });
}

/** A shard that failed for good, of a flow that lists such. */
function failed({ id, request }: ShardOutcome, message: string): Entry[] {
  const requests = request === null ? [] : 'files' in request ? requestsOf(request) : [request];
  if (requests.length === 0) return [{ path: `(of job ${id}, which is not kept)`, error: { message } }];
  return requests.map(({ path, root }) => ({ path, root, error: { message } }));
}
