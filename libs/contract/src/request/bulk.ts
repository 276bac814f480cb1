/**
 * The bulk: many files by one job, for producers of very many tiny ones. Each item is a request of its own; what all
 * have in common is said once.
 */
import { z } from 'zod';
import { issueMessage, RequestError } from '../errors/request-error.ts';
import { oneOf, SOURCE_KINDS } from '../fields/fields.ts';
import { commonBulk } from './common.ts';
import { judge } from './judge.ts';
import { isRecord, newBudget, plainList, plainRequest } from './plain.ts';
import { type Fault, faultsBetween } from './faults.ts';
import { type JobRequest, requestsOf } from './job-request.ts';
import { bulkShape, judgeRequest, requestJsonSchema } from './request.ts';
import type { WriteSource } from './source.ts';
import type { BulkRequest, BulkRequestInput, WriteRequest } from './write-request.ts';

/** Sources that a job of the queue cannot have, and why. */
const NOT_QUEUED: Partial<Record<WriteSource['kind'], string>> = {
  stream:
    'a stream cannot wait in a queue: `penstock write --from -` and createWriteStream() of the library write it at once',
};
/** Sources that a file of a bulk cannot have. */
const NOT_IN_BULKS: Partial<Record<WriteSource['kind'], string>> = {
  ...NOT_QUEUED,
  url: 'a URL is fetched by a job of its own',
  manifest: 'a manifest is written by a job of its own',
};

const bulkSchema: z.ZodType<BulkRequest, BulkRequestInput> = bulkShape.check((context) => {
  context.issues.push(...faultsOfBulk(context.value));
});

/** What is wrong with a bulk whose fields are right one by one: within its items, and between them. */
function faultsOfBulk(bulk: BulkRequest): Fault[] {
  const faults: Fault[] = [];
  const requests = requestsOf(bulk);
  const writers = new Map<string, number>();
  for (const [index, request] of requests.entries()) {
    for (const fault of faultsBetween(request)) {
      faults.push({ ...fault, path: ['files', index, ...fault.path] });
    }
    const why = NOT_IN_BULKS[request.source.kind];
    if (why !== undefined) {
      const at = ['files', index, 'source', 'kind'];
      const params = { accepted: kindsBut(NOT_IN_BULKS) };
      faults.push({ code: 'custom', input: request.source.kind, path: at, message: why, params });
    }
    const file = fileKey(request);
    const other = writers.get(file);
    if (other === undefined) {
      writers.set(file, index);
    } else {
      const message = `files.${other} writes the same file`;
      faults.push({ code: 'custom', input: request.path, path: ['files', index, 'path'], message });
    }
  }
  for (const [index, { source }] of requests.entries()) {
    const writer = source.kind === 'file' ? writers.get(fileKey(source)) : undefined;
    if (source.kind !== 'file' || writer === undefined || writer === index) continue;
    // They run at once, and a retry runs all again: which bytes the copy got would be anybody's guess.
    const message = `files.${writer} writes that file, so its copy belongs into a later job`;
    faults.push({ code: 'custom', input: source.path, path: ['files', index, 'source', 'path'], message });
  }
  return faults;
}

/** What `source.kind` accepts where the `refused` kinds are not possible. */
const kindsBut = (refused: Partial<Record<WriteSource['kind'], string>>): string =>
  oneOf(SOURCE_KINDS.filter((kind) => refused[kind] === undefined));

/** A path holds no NUL. */
const fileKey = ({ root, path: name }: { root: string; path: string }): string => `${root}\0${name}`;

/**
 * Judges what a job of the queue may ask for: a single request, or a bulk, which is known by its `files`.
 *
 * @throws RequestError, and nothing else; a field of an item is named like `files.17.size`
 */
export function parseJob(input: unknown): JobRequest {
  const budget = newBudget();
  const plain = plainRequest(input, [], budget);
  if (!isRecord(plain) || !Object.hasOwn(plain, 'files')) return queueable(judgeRequest(plain));
  plain['files'] = plainList(plain['files'], ['files'], (item, at) => plainRequest(item, at, budget), budget);
  const bulk = commonBulk(plain);
  return bulk !== null && faultsOfBulk(bulk).length === 0 ? bulk : judge(bulkSchema, plain, 'bulk');
}

function queueable(request: WriteRequest): WriteRequest {
  const { kind } = request.source;
  const fault = NOT_QUEUED[kind];
  if (fault === undefined) return request;
  const [field, accepted] = ['source.kind', kindsBut(NOT_QUEUED)];
  throw new RequestError({ field, value: kind, accepted, message: issueMessage(field, kind, accepted, fault) });
}

/** The JSON Schema of a bulk. It cannot express that an item needs a size from somewhere, nor that no file may come twice. */
export const bulkJsonSchema = (): object => ({
  ...z.toJSONSchema(bulkSchema, { io: 'input', target: 'draft-7', unrepresentable: 'any' }),
  title: 'BulkRequest',
});

/** The JSON Schema of whatever a job may carry. */
export const jobJsonSchema = (): object => ({
  $schema: 'http://json-schema.org/draft-07/schema#',
  title: 'JobRequest',
  type: 'object',
  if: { required: ['files'] },
  // oxlint-disable-next-line unicorn/no-thenable -- JSON Schema's own keyword
  then: bulkJsonSchema(),
  else: requestJsonSchema(),
});
