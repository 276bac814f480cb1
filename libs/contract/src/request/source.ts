/** Where the bytes of a write come from, as types and as the schema that judges it. */
import { z } from 'zod';
import {
  acceptedAt,
  HOLES,
  ID_CHARACTERS_MAX,
  INLINE_BYTES_MAX,
  ITEMS_MAX,
  MTIMES,
  PATH_ACCEPTED,
  PATTERN_NAMES,
  type PatternName,
  REDIRECTS_DEFAULT,
  REDIRECTS_MAX,
  REFLINKS,
  SEED_MAX,
  SHARD_FAILURES,
  SHARDS_MAX,
  URL_CHARACTERS_MAX,
  URL_TIMEOUT_MS_DEFAULT,
  URL_TIMEOUT_MS_MAX,
  URL_TIMEOUT_MS_MIN,
} from '../fields/fields.ts';
import { pathSchema, rootSchema, sizeSchema } from '../fields/scalars.ts';
import { SIZE_BYTES_MAX } from '../text/size.ts';
import { inlineBytes } from './source-size.ts';

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
  /**
   * Which shards there have to be: the ids of their jobs, in the order of the manifest, or how many. The queue itself
   * forgets a child that was removed, or that was dropped when it failed.
   */
  shards: string[] | number;
  /** 'fail': no manifest where a shard has failed. 'list': it is written, with the error in place of that shard's bytes. */
  onShardFailure: 'fail' | 'list';
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

/** A pattern as a producer names it. */
export interface PatternSourceInput {
  kind: 'pattern';
  pattern?: PatternName | undefined;
  seed?: number | undefined;
}

/** A source as a producer sends it: what has a default may be left out, sizes may be texts like "1MiB". */
export type WriteSourceInput =
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
  | {
      kind: 'manifest';
      shards: readonly string[] | number;
      /** Default 'fail'. */
      onShardFailure?: ManifestSource['onShardFailure'] | undefined;
    }
  | StreamSource
  | { kind: 'extents'; extents: { offset: number | string; size: number | string; source: PatternSourceInput }[] };

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

const manifestSourceSchema = z.strictObject({
  kind: z.literal('manifest'),
  shards: z
    .union([z.int().min(1).max(SHARDS_MAX), z.array(z.string().min(1).max(ID_CHARACTERS_MAX)).min(1).max(SHARDS_MAX)])
    .refine((shards) => typeof shards === 'number' || new Set(shards).size === shards.length, 'an id comes twice')
    .meta({ description: `Which shards there have to be: ${acceptedAt(['source', 'shards'])}` }),
  onShardFailure: z
    .enum(SHARD_FAILURES)
    .default('fail')
    .meta({ description: '"list": the manifest is written although shards failed, with their errors in it' }),
});
const streamSourceSchema = z.strictObject({ kind: z.literal('stream') });

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

export const sourceSchema: z.ZodType<WriteSource, WriteSourceInput> = z
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
  .meta({ description: 'Where the bytes come from' });
