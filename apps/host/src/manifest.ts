/** The manifest of a flow: the results of its shards as JSON, written like any other file when all of them are done. */
import {
  type BulkResult,
  type JobRequest,
  RequestError,
  requestsOf,
  type WireError,
  type WriteRequest,
  type ShortWriteResult,
  type WriteResult,
} from '@penstock/contract';
import type { ShardOutcome, WriteJobInfo } from '@penstock/queue';

/** One file that a shard wrote, or did not. */
type Entry = { path: string; root?: string; host?: string } & (
  | Pick<WriteResult, 'bytes' | 'checksum' | 'offset' | 'fileBytes'>
  | { error: Pick<WireError, 'message'> & Partial<Pick<WireError, 'code'>> }
);

/**
 * The request as a thread can carry it out: a manifest becomes its bytes, now that the shards are done.
 * @throws (rejects with) ShardError if shards that it names are missing, RequestError if the manifest does not have the
 * size that was asked for
 */
export async function withManifest(request: JobRequest, job: Pick<WriteJobInfo, 'shards'>): Promise<JobRequest> {
  if ('files' in request || request.source.kind !== 'manifest') return request;
  const shards = await job.shards(request.source);
  const bytes = Buffer.from(manifestOf(shards));
  if (request.size !== undefined && request.size !== bytes.byteLength) {
    const accepted = `${bytes.byteLength} bytes, which it comes to, or leave it out`;
    throw new RequestError({ field: 'size', value: request.size, accepted });
  }
  // It may be longer than inline data of a request may be: this request goes no further than to a thread.
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

/** Without what belongs to one attempt rather than to the file. */
function entryOf({ path, root, host, bytes, checksum, offset, fileBytes }: ShortWriteResult): Entry {
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
    const writer = host === undefined ? {} : { host };
    return { ...place, bytes, ...(checksum === undefined ? {} : { checksum }), ...writer };
  });
}

/** A shard that failed for good, of a flow that lists such. */
function failed({ id, request }: ShardOutcome, message: string): Entry[] {
  const requests = request === null ? [] : 'files' in request ? requestsOf(request) : [request];
  if (requests.length === 0) return [{ path: `(of job ${id}, which is not kept)`, error: { message } }];
  return requests.map(({ path, root }) => ({ path, root, error: { message } }));
}
