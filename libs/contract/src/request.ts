// The request: what a producer may ask for, as types and as the schema that judges it.
import { z } from 'zod';
import {
  DURABILITIES,
  HOLES,
  ITEMS_MAX,
  MODES,
  PATH_ACCEPTED,
  PATTERN_NAMES,
  type PatternName,
  PUBLISHES,
  REFLINKS,
  ROOT_ACCEPTED,
  ROW_BYTES_MAX,
  ROW_COUNT_MAX,
  SEED_MAX,
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
}

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

export interface MatrixShape {
  /** 1 to 65536. */
  rows: number;
  /** 1 to 2^30. Need not suit the disk: rows it cannot take directly are gathered. */
  rowBytes: number;
}

/** A request as the host carries it out: every default filled in, every size in bytes. */
export interface WriteRequest {
  /** Relative, inside its root. */
  path: string;
  /** The name of one of the host's roots. */
  root: string;
  /** Bytes, 0 to 2^53-1. Absent only for a source that knows its own size. */
  size?: number;
  /** Absent: chosen by the writer from the size and the disk. */
  matrix?: MatrixShape;
  source: PatternSource | FileSource | ExtentsSource;
  /** 'create' fails where the file exists. */
  mode: 'create' | 'replace';
  /** 'atomic': readers see the old file or the new one, never a part. */
  publish: 'atomic' | 'in-place';
  /** 'fdatasync': completed means it survives power loss. */
  durability: 'none' | 'fdatasync';
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
      }
    | { kind: 'extents'; extents: { offset: number | string; size: number | string; source: PatternSourceInput }[] }
    | undefined;
  /** Default 'replace'. */
  mode?: WriteRequest['mode'] | undefined;
  /** Default 'atomic'. */
  publish?: WriteRequest['publish'] | undefined;
  /** Default 'fdatasync'. */
  durability?: WriteRequest['durability'] | undefined;
}

/** One file of a bulk: a request that leaves to its bulk whatever all have in common. */
export type BulkItem = Pick<WriteRequest, 'path'> & Partial<Omit<WriteRequest, 'path'>>;

/** Many files by one job. What stands beside `files` holds for every item that does not say otherwise. */
export interface BulkRequest extends Omit<WriteRequest, 'path'> {
  /** 1 to 1,000, their extents counted too; none of them twice, none the source of another. */
  files: BulkItem[];
}

/** A bulk as a producer sends it. */
export interface BulkRequestInput extends Omit<WriteRequestInput, 'path'> {
  files: readonly WriteRequestInput[];
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
});

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
    'Bytes, as a number or a text: MiB is 2^20, MB is 10^6. Required unless the source is a file or extents.',
  ),
  matrix: z
    .strictObject({
      rows: z.int().min(1).max(ROW_COUNT_MAX),
      rowBytes: sizeSchema(1, ROW_BYTES_MAX, 'Bytes of one row, as a number or a text like "1MiB"'),
    })
    .meta({ description: 'The buffer: its rows are filled and written in turn. Default: chosen by the writer.' }),
  source: z
    .discriminatedUnion('kind', [patternSourceSchema, fileSourceSchema, extentsSourceSchema])
    .meta({ description: 'Where the bytes come from' }),
  mode: z.enum(MODES).meta({ description: '"create" fails where the file exists' }),
  publish: z.enum(PUBLISHES).meta({ description: '"atomic": readers see the old file or the new one, never a part' }),
  durability: z.enum(DURABILITIES).meta({ description: '"fdatasync": a completed write survives power loss' }),
};

/** The same with the defaults of what is not said: in a single request, or by a bulk for all its items. */
const defaulted = {
  root: given.root.default('data'),
  size: given.size.exactOptional(),
  matrix: given.matrix.exactOptional(),
  source: given.source.default({ kind: 'pattern', pattern: 'zero', seed: 0 }),
  mode: given.mode.default('replace'),
  publish: given.publish.default('atomic'),
  durability: given.durability.default('fdatasync'),
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

export const requestSchema: z.ZodType<WriteRequest, WriteRequestInput> = z
  .strictObject({ path, ...defaulted })
  .check((context) => {
    context.issues.push(...faultsBetween(context.value));
  });

/** A fault that no field has by itself: where it shows, and why; '' where the field is missing. */
type Fault = { code: 'custom'; input: unknown; path: (string | number)[]; message: string };

/** What is wrong with a request whose fields are right one by one. */
export function faultsBetween({ source, size, path: written, root, publish }: WriteRequest): Fault[] {
  const faults: Fault[] = [];
  const find = (at: (string | number)[], input: unknown, message: string): void => {
    faults.push({ code: 'custom', input, path: at, message });
  };
  if (source.kind === 'pattern' && size === undefined) find(['size'], size, '');
  if (source.kind === 'file' && publish === 'in-place' && source.path === written && source.root === root) {
    const message = 'it is the file to be written, and writing it in place would destroy the source';
    find(['source', 'path'], source.path, message);
  }
  if (source.kind === 'extents' && size !== undefined) {
    const end = extentsEnd(source);
    if (size < end) find(['size'], size, `the extents end at ${end}`);
  }
  return faults;
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
      source: { type: 'object', required: ['kind'], properties: { kind: { enum: ['file', 'extents'] } } },
    },
  },
  // oxlint-disable-next-line unicorn/no-thenable -- JSON Schema's own keyword
  else: { required: ['size'] },
};
