/** The schema of a request, and its judgement. */
import { z } from 'zod';
import {
  acceptedAt,
  CHECKSUMS,
  DURABILITIES,
  FILE_MODE_TEXT,
  HOST_NAME,
  ITEMS_MAX,
  MODES,
  PATH_ACCEPTED,
  PUBLISHES,
  ROW_BYTES_MAX,
  ROW_COUNT_MAX,
  VERIFIES,
} from '../fields/fields.ts';
import { commonRequest } from './common.ts';
import { faultsBetween } from './faults.ts';
import { judge } from './judge.ts';
import { plainRequest } from './plain.ts';
import { pathSchema, rootSchema, sizeSchema } from '../fields/scalars.ts';
import { SIZE_BYTES_MAX } from '../text/size.ts';
import { sourceSchema } from './source.ts';
import {
  type BulkRequest,
  type BulkRequestInput,
  REQUEST_DEFAULTS,
  withPublish,
  type WriteRequest,
  type WriteRequestInput,
} from './write-request.ts';

/** What a request can say besides its path, each as it is where it is said. */
const given = {
  root: rootSchema,
  size: sizeSchema(
    0,
    SIZE_BYTES_MAX,
    'Bytes, as a number or a text: MiB is 2^20, MB is 10^6. Required for a pattern; other sources know their own.',
  ),
  matrix: z
    .strictObject({
      rows: z.int().min(1).max(ROW_COUNT_MAX),
      rowBytes: sizeSchema(1, ROW_BYTES_MAX, 'Bytes of one row, as a number or a text like "1MiB"'),
    })
    .meta({ description: 'The buffer: its rows are filled and written in turn. Default: chosen by the writer.' }),
  source: sourceSchema,
  mode: z.enum(MODES).meta({
    description:
      '"create" fails where the file exists; "overwrite" changes it from `offset` on; "append" lengthens it. ' +
      'Default: replace',
  }),
  publish: z.enum(PUBLISHES).meta({
    description:
      '"atomic": readers see the old file or the new one, never a part. Default: atomic, but in-place where the mode is ' +
      'overwrite or append, which know no other',
  }),
  durability: z.enum(DURABILITIES).meta({
    description: '"fdatasync": a completed write survives power loss. "dsync": so does each byte called written',
  }),
  offset: sizeSchema(0, SIZE_BYTES_MAX, 'Where the first byte goes, with mode "overwrite"'),
  checksum: z.enum(CHECKSUMS).meta({ description: 'What the result tells of the bytes written. Default: none' }),
  expect: z
    .string()
    .regex(/^[0-9a-f]{8}$|^[0-9a-f]{64}$/i)
    .transform((digits) => digits.toLowerCase())
    .meta({ description: 'What the checksum must be for the file to be published, in hexadecimal digits' }),
  verify: z.enum(VERIFIES).meta({
    description: '"readback": the bytes are read from the disk and compared before they are published. Default: none',
  }),
  fileMode: z
    .string()
    .regex(FILE_MODE_TEXT)
    .meta({
      description: `Permission bits: ${acceptedAt(['fileMode'])}. Default: those of the file replaced, else the umask's`,
    }),
};

/** What is said of a job as a whole. */
const ofJob = {
  limit: z
    .strictObject({ bytesPerSecond: sizeSchema(0, SIZE_BYTES_MAX, 'Bytes a second; 0 is no limit') })
    .exactOptional()
    .meta({ description: 'The speed of the write at most' }),
  target: z
    .strictObject({ host: z.string().regex(HOST_NAME) })
    .exactOptional()
    .meta({ description: 'Which host is to write: "any", or the name of one' }),
};

/** What few requests say: absent where it is not said. */
const rare = {
  offset: given.offset.exactOptional(),
  checksum: given.checksum.exactOptional(),
  expect: given.expect.exactOptional(),
  verify: given.verify.exactOptional(),
  fileMode: given.fileMode.exactOptional(),
};

/** The same with the defaults of what is not said: in a single request, or by a bulk for all its items. */
const defaulted = {
  root: given.root.default(REQUEST_DEFAULTS.root),
  size: given.size.exactOptional(),
  matrix: given.matrix.exactOptional(),
  source: given.source.default(REQUEST_DEFAULTS.source),
  mode: given.mode.default(REQUEST_DEFAULTS.mode),
  publish: given.publish.exactOptional(),
  durability: given.durability.default(REQUEST_DEFAULTS.durability),
  ...rare,
  ...ofJob,
};

const path = pathSchema(`The file to write: ${PATH_ACCEPTED}`);

/** A bulk whose fields are right one by one. */
export const bulkShape: z.ZodType<BulkRequest, BulkRequestInput> = z.strictObject({
  files: z
    .array(
      z.strictObject({
        path,
        root: given.root.exactOptional(),
        size: given.size.exactOptional(),
        matrix: given.matrix.exactOptional(),
        source: given.source.exactOptional(),
        mode: given.mode.exactOptional(),
        publish: given.publish.exactOptional(),
        durability: given.durability.exactOptional(),
        ...rare,
      }),
    )
    .min(1)
    .max(ITEMS_MAX)
    .meta({ description: 'The files to write; what they have in common can be said once, beside this list' }),
  ...defaulted,
});

export const requestSchema: z.ZodType<WriteRequest, WriteRequestInput> = z
  .strictObject({ path, ...defaulted })
  .transform(withPublish)
  .check((context) => {
    context.issues.push(...faultsBetween(context.value));
  });

/**
 * Judges a request and fills in its defaults. Takes anything, and reads each property once.
 *
 * @throws RequestError, and nothing else: its message names every field at fault (the first few in full), the value
 * found and what would be accepted.
 */
export function parseRequest(input: unknown): WriteRequest {
  return judgeRequest(plainRequest(input, []));
}

/** @throws RequestError that names what in `plain`, a plain copy, is not as it has to be */
export function judgeRequest(plain: unknown): WriteRequest {
  const request = commonRequest(plain);
  return request !== null && faultsBetween(request).length === 0 ? request : judge(requestSchema, plain, 'request');
}

/** The request's JSON Schema (draft 7) as producers see it: before defaults. It cannot count the bytes of a path. */
export const requestJsonSchema = (): object => ({
  ...z.toJSONSchema(requestSchema, { io: 'input', target: 'draft-7', unrepresentable: 'any' }),
  title: 'WriteRequest',
  // A pattern has no size of its own; the default source is one.
  if: {
    required: ['source'],
    properties: {
      source: {
        type: 'object',
        required: ['kind'],
        properties: { kind: { not: { const: 'pattern' } } },
      },
    },
  },
  else: { required: ['size'] },
});
