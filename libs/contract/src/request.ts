// The request: what a producer may ask for, as types and as the schema that judges it.
import { z } from 'zod';
import {
  acceptedAt,
  CHECKSUM_DIGITS,
  CHECKSUMS,
  DURABILITIES,
  FILE_MODE_TEXT,
  HOLES,
  HOST_NAME,
  INLINE_BYTES_MAX,
  ITEMS_MAX,
  MODES,
  MTIMES,
  PATH_ACCEPTED,
  PATTERN_NAMES,
  type PatternName,
  PUBLISHES,
  REDIRECTS_DEFAULT,
  REDIRECTS_MAX,
  REFLINKS,
  ROOT_ACCEPTED,
  ROW_BYTES_MAX,
  ROW_COUNT_MAX,
  SEED_MAX,
  URL_CHARACTERS_MAX,
  URL_TIMEOUT_MS_DEFAULT,
  URL_TIMEOUT_MS_MAX,
  URL_TIMEOUT_MS_MIN,
  VERIFIES,
} from './fields.ts';
import { judge } from './judge.ts';
import { PATH_CHARACTERS_MAX, PATH_PATTERN, pathFault, ROOT_NAME } from './paths.ts';
import { plainRequest } from './plain.ts';
import { parseSize, SIZE_BYTES_MAX, SIZE_TEXT } from './size.ts';

/** Bytes computed from a seed: see the sources room for what each pattern's bytes are. */
export interface PatternSource {
  kind: 'pattern';
  pattern: PatternName;
  /** 0 to 2^32-1. */
  seed: number;
}

/** The bytes of an existing file inside a root. */
export interface FileSource {
  kind: 'file';
  path: string;
  root: string;
  /** 'keep': what is a hole of the source stays one, and takes no space. 'fill': zeros are written there. */
  holes: 'fill' | 'keep';
  /**
   * 'auto': the target shares the source's blocks, holes included, where the file system can do that, else bytes are
   * copied. 'always' fails where it cannot.
   */
  reflink: 'never' | 'auto' | 'always';
  /** 'keep': the file gets the source's time of modification. Absent: 'now'. */
  mtime?: 'now' | 'keep';
}

/** Bytes that the request itself carries. */
export interface InlineSource {
  kind: 'inline';
  /** Base64 (RFC 4648, with padding) of up to 1 MiB. */
  data: string;
}

/** What an HTTP server answers to GET. */
export interface UrlSource {
  kind: 'url';
  /** http: or https:, without user and password. */
  url: string;
  /** How many are followed at most. */
  redirects: number;
  /** Milliseconds without a byte after which it counts as gone. */
  timeoutMs: number;
}

/** A named segment of shared memory that another process on the host has filled. */
export interface ShmSource {
  kind: 'shm';
  /** Its path below the host's shared-memory root. */
  name: string;
  /** Where in the segment the bytes begin. */
  offset: number;
}

/** The results of the job's children, as JSON: what a flow writes when all of its shards are done. */
export interface ManifestSource {
  kind: 'manifest';
}

/** Bytes that a program hands over while the write runs: of the library alone, for a stream cannot be queued. */
export interface StreamSource {
  kind: 'stream';
}

/** Where the bytes of a write come from. */
export type WriteSource =
  | PatternSource
  | InlineSource
  | FileSource
  | ExtentsSource
  | UrlSource
  | ShmSource
  | ManifestSource
  | StreamSource;

/** One range of a file made of extents: `size` bytes from `offset` on are the first `size` bytes of `source`. */
export interface Extent {
  offset: number;
  /** 1 or more. */
  size: number;
  source: PatternSource;
}

/** A file put together from ranges, in any order, none overlapping another; between and behind them it is zeros. */
export interface ExtentsSource {
  kind: 'extents';
  /** 1 to 1,000. */
  extents: Extent[];
}

/** The buffer of a write: its rows are filled and written in turn. */
export interface MatrixShape {
  /** 1 to 65536. */
  rows: number;
  /** 1 to 2^30. Need not suit the disk: rows it cannot take directly are gathered. */
  rowBytes: number;
}

/** How the bytes are summed up: CRC-32C (RFC 3720) or SHA-256, told in hexadecimal digits. */
export type ChecksumName = 'crc32c' | 'sha256';

/**
 * A request as the host carries it out: every size in bytes, and what few requests say absent where it was not said,
 * for all of it travels with each job.
 */
export interface WriteRequest {
  /** Relative, inside its root. */
  path: string;
  /** The name of one of the host's roots. */
  root: string;
  /** Bytes, 0 to 2^53-1. Absent only for a source that knows its own size, or tells it by its end. */
  size?: number;
  /** Absent: chosen by the writer from the size and the disk. */
  matrix?: MatrixShape;
  source: WriteSource;
  /** Where the first byte goes; of 'overwrite' alone. Absent: 0. */
  offset?: number;
  /**
   * 'create' fails where the file exists. 'overwrite' changes `size` bytes of an existing file from `offset` on, and
   * lengthens it where they reach beyond its end; 'append' puts them behind its end, and makes it where it is missing.
   */
  mode: 'create' | 'replace' | 'overwrite' | 'append';
  /** 'atomic': readers see the old file or the new one, never a part. Overwriting and appending are always 'in-place'. */
  publish: 'atomic' | 'in-place';
  /** 'fdatasync': completed means it survives power loss. 'dsync': so does each byte that progress calls written. */
  durability: 'none' | 'fdatasync' | 'dsync';
  /** Of the bytes written; holes that are kept count as the zeros that they read as. Absent: 'none'. */
  checksum?: 'none' | ChecksumName;
  /**
   * What the checksum must be, in lower-case hexadecimal digits; anything else is not published. With 'in-place' the
   * bytes stand in the file by the time they are known to be wrong, and readers may have seen them: the job fails, an
   * append is cut off again, and what was overwritten is not restored.
   */
  expect?: string;
  /**
   * 'readback': the bytes are flushed, read from the disk and compared before they are published. Absent: 'none'. With
   * 'in-place' they stand in the file by then, as they do for `expect`.
   */
  verify?: 'none' | 'readback';
  /** Permission bits in octal digits, whatever the umask, or 'keep' for those of a copy's source. Absent: as the host's umask has it. */
  fileMode?: string;
  /** Absent, or 0: no limit of the job's own. */
  limit?: { bytesPerSecond: number };
  /** Absent, or 'any': any host that takes from the queue. */
  target?: { host: string };
}

interface PatternSourceInput {
  kind: 'pattern';
  pattern?: PatternName | undefined;
  seed?: number | undefined;
}

/** A request as a producer sends it: what has a default may be left out, sizes may be texts like "1MiB". */
export interface WriteRequestInput {
  path: string;
  /** Default 'data'. */
  root?: string | undefined;
  size?: number | string | undefined;
  matrix?: { rows: number; rowBytes: number | string } | undefined;
  /** Default: the pattern 'zero'. */
  source?:
    | PatternSourceInput
    | {
        kind: 'file';
        path: string;
        root?: string | undefined;
        /** Default 'fill'. */
        holes?: FileSource['holes'] | undefined;
        /** Default 'never'. */
        reflink?: FileSource['reflink'] | undefined;
        /** Default 'now'. */
        mtime?: FileSource['mtime'] | undefined;
      }
    | InlineSource
    | {
        kind: 'url';
        url: string;
        /** Default 5. */
        redirects?: number | undefined;
        /** Default 30,000. */
        timeoutMs?: number | undefined;
      }
    | {
        kind: 'shm';
        name: string;
        /** Default 0. */
        offset?: number | string | undefined;
      }
    | ManifestSource
    | StreamSource
    | { kind: 'extents'; extents: { offset: number | string; size: number | string; source: PatternSourceInput }[] }
    | undefined;
  /** Default 'replace'. */
  mode?: WriteRequest['mode'] | undefined;
  /** Default 'atomic', for 'overwrite' and 'append' 'in-place'. */
  publish?: WriteRequest['publish'] | undefined;
  /** Default 'fdatasync'. */
  durability?: WriteRequest['durability'] | undefined;
  /** Default 0. */
  offset?: number | string | undefined;
  /** Default 'none'. */
  checksum?: WriteRequest['checksum'] | undefined;
  expect?: string | undefined;
  /** Default 'none'. */
  verify?: WriteRequest['verify'] | undefined;
  fileMode?: string | undefined;
  /** Default: none. */
  limit?: { bytesPerSecond: number | string } | undefined;
  /** Default: any host. */
  target?: { host: string } | undefined;
}

/** One file of a bulk: a request that leaves to its bulk whatever all have in common. */
export type BulkItem = Pick<WriteRequest, 'path'> & Partial<Omit<WriteRequest, 'path' | 'limit' | 'target'>>;

/** Many files by one job. What stands beside `files` holds for every item that does not say otherwise. */
export interface BulkRequest extends Omit<WriteRequest, 'path' | 'publish'> {
  /** Absent: as each item's mode has it. */
  publish?: WriteRequest['publish'];
  /** 1 to 1,000, their extents counted too; none of them twice, none the source of another. */
  files: BulkItem[];
}

/** A bulk as a producer sends it. */
export interface BulkRequestInput extends Omit<WriteRequestInput, 'path'> {
  files: readonly Omit<WriteRequestInput, 'limit' | 'target'>[];
}

/** A size in bytes, min to max, as a number or a text. */
function sizeSchema(min: number, max: number, description: string): z.ZodType<number, number | string> {
  return z
    .union([z.int().min(min).max(max), z.string().regex(SIZE_TEXT)])
    .transform((value, context) => {
      try {
        const bytes = parseSize(value);
        if (bytes >= min && bytes <= max) return bytes;
      } catch {
        // parseSize's words name the size alone; the issue below names the field and its own bounds
      }
      context.issues.push({ code: 'custom', input: value, message: 'it is not a whole number of bytes in the range' });
      return z.NEVER;
    })
    .meta({ description });
}

function pathSchema(description: string): z.ZodType<string, string> {
  return z
    .string()
    .check((context) => {
      const fault = pathFault(context.value);
      if (fault !== null) context.issues.push({ code: 'custom', input: context.value, message: fault });
    })
    .meta({ description, minLength: 1, maxLength: PATH_CHARACTERS_MAX, pattern: PATH_PATTERN });
}

const rootSchema = z
  .string()
  .regex(ROOT_NAME)
  .meta({ description: `The root: ${ROOT_ACCEPTED}` });

const patternSourceSchema = z.strictObject({
  kind: z.literal('pattern'),
  pattern: z.enum(PATTERN_NAMES).default('zero').meta({ description: 'What the bytes are' }),
  seed: z
    .int()
    .min(0)
    .max(SEED_MAX)
    .default(0)
    .meta({ description: 'Distinguishes the bytes of one file from another' }),
});

const fileSourceSchema = z.strictObject({
  kind: z.literal('file'),
  path: pathSchema(`The file to copy: ${PATH_ACCEPTED}`),
  root: rootSchema.default('data'),
  holes: z
    .enum(HOLES)
    .default('fill')
    .meta({ description: '"keep": holes of the source stay holes. "fill": zeros are written there' }),
  reflink: z
    .enum(REFLINKS)
    .default('never')
    .meta({
      description:
        '"auto": the target shares the source\'s blocks, holes included, where the file system can do that, else bytes ' +
        'are copied. "always" fails where it cannot',
    }),
  mtime: z
    .enum(MTIMES)
    .exactOptional()
    .meta({ description: '"keep": the file gets the source\'s time of modification. Default: now' }),
});

const inlineSourceSchema = z.strictObject({
  kind: z.literal('inline'),
  data: z
    .base64()
    .refine((data) => inlineBytes(data) <= INLINE_BYTES_MAX, 'it is too long')
    .meta({ description: `The bytes: ${acceptedAt(['source', 'data'])}` }),
});

const urlSourceSchema = z.strictObject({
  kind: z.literal('url'),
  url: z
    .string()
    .max(URL_CHARACTERS_MAX)
    .check((context) => {
      const fault = urlFault(context.value);
      if (fault !== null) context.issues.push({ code: 'custom', input: context.value, message: fault });
    })
    .meta({ description: `What to get: ${acceptedAt(['source', 'url'])}`, format: 'uri' }),
  redirects: z
    .int()
    .min(0)
    .max(REDIRECTS_MAX)
    .default(REDIRECTS_DEFAULT)
    .meta({ description: 'How many redirects are followed' }),
  timeoutMs: z
    .int()
    .min(URL_TIMEOUT_MS_MIN)
    .max(URL_TIMEOUT_MS_MAX)
    .default(URL_TIMEOUT_MS_DEFAULT)
    .meta({ description: 'Milliseconds without a byte after which the server counts as gone' }),
});

const shmSourceSchema = z.strictObject({
  kind: z.literal('shm'),
  name: pathSchema(`The segment: ${acceptedAt(['source', 'name'])}`),
  offset: sizeSchema(0, SIZE_BYTES_MAX, 'Where in the segment the bytes begin').default(0),
});

const manifestSourceSchema = z.strictObject({ kind: z.literal('manifest') });
const streamSourceSchema = z.strictObject({ kind: z.literal('stream') });

/** Bytes that so much base64 stands for. */
export function inlineBytes(data: string): number {
  const padding = data.endsWith('==') ? 2 : data.endsWith('=') ? 1 : 0;
  return Math.max(0, (data.length / 4) * 3 - padding);
}

/** What is wrong with a URL to be fetched, or null. Its address is judged by the host, once it is resolved. */
function urlFault(text: string): string | null {
  if (!URL.canParse(text)) return 'it is no absolute URL';
  const { protocol, username, password } = new URL(text);
  if (protocol !== 'http:' && protocol !== 'https:') return `its scheme is ${protocol}`;
  // It would stand in the queue, on the dashboard and in logs for all to read.
  return username === '' && password === '' ? null : 'it carries a user or a password';
}

const extentsSourceSchema = z
  .strictObject({
    kind: z.literal('extents'),
    extents: z
      .array(
        z.strictObject({
          offset: sizeSchema(0, SIZE_BYTES_MAX, 'Where in the file it begins, as a number or a text like "1MiB"'),
          size: sizeSchema(1, SIZE_BYTES_MAX, 'Its bytes, as a number or a text like "1MiB"'),
          source: patternSourceSchema.meta({ description: 'Its bytes, counted from its own beginning' }),
        }),
      )
      .min(1)
      .max(ITEMS_MAX)
      .meta({ description: 'Ranges of the file, in any order, none overlapping; what is between them is zeros' }),
  })
  .check((context) => {
    const order = [...context.value.extents.entries()].toSorted(([, one], [, other]) => one.offset - other.offset);
    for (const [place, [index, { offset, size }]] of order.entries()) {
      const before = order[place - 1];
      const find = (field: string, input: number, message: string): void => {
        context.issues.push({ code: 'custom', input, path: ['extents', index, field], message });
      };
      if (offset + size > SIZE_BYTES_MAX) find('size', size, `it ends beyond ${SIZE_BYTES_MAX} bytes`);
      if (before !== undefined && before[1].offset + before[1].size > offset) {
        find('offset', offset, `extent ${before[0]} covers it`);
      }
    }
  });

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
  source: z
    .discriminatedUnion('kind', [
      patternSourceSchema,
      inlineSourceSchema,
      fileSourceSchema,
      extentsSourceSchema,
      urlSourceSchema,
      shmSourceSchema,
      manifestSourceSchema,
      streamSourceSchema,
    ])
    .meta({ description: 'Where the bytes come from' }),
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
    .meta({ description: `Permission bits: ${acceptedAt(['fileMode'])}. Default: as the host's umask has it` }),
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
  root: given.root.default('data'),
  size: given.size.exactOptional(),
  matrix: given.matrix.exactOptional(),
  source: given.source.default({ kind: 'pattern', pattern: 'zero', seed: 0 }),
  mode: given.mode.default('replace'),
  publish: given.publish.exactOptional(),
  durability: given.durability.default('fdatasync'),
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

/** Where the last extent ends: the size of a file of which no other is said. */
export function extentsEnd({ extents }: ExtentsSource): number {
  let end = 0;
  for (const { offset, size } of extents) end = Math.max(end, offset + size);
  return end;
}

/** With the way it is published that goes without saying. */
export function withPublish<T extends Pick<WriteRequest, 'mode'> & { publish?: WriteRequest['publish'] }>(
  request: T,
): T & { publish: WriteRequest['publish'] } {
  return { ...request, publish: request.publish ?? (changesInPlace(request) ? 'in-place' : 'atomic') };
}

/** True for a write that changes a file where it stands, and keeps the rest of it. */
export const changesInPlace = ({ mode }: Pick<WriteRequest, 'mode'>): boolean =>
  mode === 'overwrite' || mode === 'append';

export const requestSchema: z.ZodType<WriteRequest, WriteRequestInput> = z
  .strictObject({ path, ...defaulted })
  .transform(withPublish)
  .check((context) => {
    context.issues.push(...faultsBetween(context.value));
  });

/** A fault that no field has by itself: where it shows, and why; '' where the field is missing. */
type Fault = { code: 'custom'; input: unknown; path: (string | number)[]; message: string };

/** What is wrong with a request whose fields are right one by one. */
export function faultsBetween(request: WriteRequest): Fault[] {
  const faults: Fault[] = [];
  const find = (at: (string | number)[], input: unknown, message: string): void => {
    faults.push({ code: 'custom', input, path: at, message });
  };
  findSourceFaults(request, find);
  findModeFaults(request, find);
  findChecksumFaults(request, find);
  return faults;
}

type Find = (at: (string | number)[], input: unknown, message: string) => void;

function findSourceFaults({ source, size, path: written, root, publish, fileMode }: WriteRequest, find: Find): void {
  if (source.kind === 'pattern' && size === undefined) find(['size'], size, '');
  if (source.kind === 'file' && publish === 'in-place' && source.path === written && source.root === root) {
    const message = 'it is the file to be written, and writing it in place would destroy the source';
    find(['source', 'path'], source.path, message);
  }
  if (source.kind === 'extents' && size !== undefined) {
    const end = extentsEnd(source);
    if (size < end) find(['size'], size, `the extents end at ${end}`);
  }
  if (source.kind === 'inline' && size !== undefined && size !== inlineBytes(source.data)) {
    find(['size'], size, `the data comes to ${inlineBytes(source.data)} bytes`);
  }
  if (fileMode === 'keep' && source.kind !== 'file') find(['fileMode'], fileMode, 'the source is no file');
}

function findModeFaults(request: WriteRequest, find: Find): void {
  const { mode, offset, publish, source, size = 0 } = request;
  if (offset !== undefined && mode !== 'overwrite') find(['offset'], offset, `the mode is ${mode}`);
  if (offset !== undefined && offset + size > SIZE_BYTES_MAX) find(['offset'], offset, 'the file would end too far');
  if (!changesInPlace(request)) return;
  if (publish === 'atomic') find(['publish'], publish, `${mode} changes the file where it stands`);
  if (source.kind !== 'file') return;
  if (source.holes === 'keep') find(['source', 'holes'], 'keep', `${mode} would leave old bytes where the holes are`);
  if (source.reflink === 'always') find(['source', 'reflink'], 'always', `${mode} keeps the blocks of its file`);
}

function findChecksumFaults({ source, checksum, expect, verify }: WriteRequest, find: Find): void {
  const named = checksum === undefined || checksum === 'none' ? null : checksum;
  if (expect !== undefined && named === null) find(['expect'], expect, 'no checksum is named');
  if (expect !== undefined && named !== null && expect.length !== CHECKSUM_DIGITS[named]) {
    find(['expect'], expect, `${named} has ${CHECKSUM_DIGITS[named]} digits`);
  }
  if (source.kind !== 'file' || source.reflink !== 'always') return;
  if (named !== null) find(['checksum'], checksum, 'a reflink passes no byte that could be summed up');
  if (verify === 'readback') find(['verify'], verify, 'a reflink writes no byte that could be compared');
}

/**
 * Judges a request and fills in its defaults. Takes anything, and reads each property once.
 *
 * @throws RequestError, and nothing else: its message names every field at fault (the first few in full), the value
 * found and what would be accepted.
 */
export function parseRequest(input: unknown): WriteRequest {
  const plain = plainRequest(input, []);
  return judge(requestSchema, plain, 'request');
}

/** The request's JSON Schema (draft 7) as producers see it: before defaults. It cannot count the bytes of a path. */
export const requestJsonSchema: object = {
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
  // oxlint-disable-next-line unicorn/no-thenable -- JSON Schema's own keyword
  else: { required: ['size'] },
};
