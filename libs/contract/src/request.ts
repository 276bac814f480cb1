// The request: what a producer may ask for, and the one place that judges it. Schema, types and messages side by side.
import { z } from 'zod';
import { issueMessage, RequestError, type RequestIssue } from './errors.ts';
import { PATH_CHARACTERS_MAX, PATH_PATTERN, pathFault, ROOT_NAME } from './paths.ts';
import { escapeControls, printValue, shorten } from './print.ts';
import { parseSize, SIZE_BYTES_MAX, SIZE_EXAMPLE, SIZE_TEXT } from './size.ts';

export const PATTERN_NAMES = ['zero', 'byte', 'counter', 'text', 'stamp', 'random'] as const;
export type PatternName = (typeof PATTERN_NAMES)[number];

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
  /** 1 to 10,000. */
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
  /** 1 to 10,000, none of them twice, none the source of another. */
  files: BulkItem[];
}

/** A bulk as a producer sends it. */
export interface BulkRequestInput extends Omit<WriteRequestInput, 'path'> {
  files: readonly WriteRequestInput[];
}

const ROW_COUNT_MAX = 65_536;
const ROW_BYTES_MAX = 1_073_741_824;
const SEED_MAX = 0xffff_ffff;
const MODES = ['create', 'replace'] as const;
const PUBLISHES = ['atomic', 'in-place'] as const;
const DURABILITIES = ['none', 'fdatasync'] as const;
const SOURCE_KINDS = ['pattern', 'file', 'extents'] as const;
export const HOLES = ['fill', 'keep'] as const;
export const REFLINKS = ['never', 'auto', 'always'] as const;
/** Items of a bulk, or extents of a file, in one request: judging as many takes the host's event loop about 6 ms. */
const ITEMS_MAX = 1000;

const PATH_ACCEPTED = 'a relative path inside its root, without "..", up to 4095 bytes, like "captures/run-42.dat"';
const EXTENT_EXAMPLE = '{"offset": "1MiB", "size": 4096, "source": {"kind": "pattern"}}';
const ROOT_ACCEPTED = 'the name of one of the host\'s roots, like "data": 1 to 64 letters, digits, _ or -';

/**
 * What each field accepts, in words that follow "give"; the JSON Schema carries the same words. A `*` stands for any
 * index; an item of a bulk is a request, so its fields are named here without `files.*`.
 */
const ACCEPTED: Readonly<Record<string, string>> = {
  request: 'a plain JSON object like {"path": "run-42.dat", "size": "1GiB"}',
  files: `a list of 1 to ${ITEMS_MAX} items like {"path": "a.dat", "size": 4096}, and what is more in further jobs`,
  'files.*': 'an object like {"path": "a.dat", "size": 4096}',
  path: PATH_ACCEPTED,
  root: ROOT_ACCEPTED,
  size: `0 to ${SIZE_BYTES_MAX} bytes, ${SIZE_EXAMPLE}`,
  matrix: 'an object like {"rows": 32, "rowBytes": "1MiB"}',
  'matrix.rows': `a whole number from 1 to ${ROW_COUNT_MAX}`,
  'matrix.rowBytes': `1 to ${ROW_BYTES_MAX} bytes, ${SIZE_EXAMPLE}`,
  source: 'an object like {"kind": "pattern", "pattern": "stamp", "seed": 7} or {"kind": "file", "path": "in.dat"}',
  'source.kind': oneOf(SOURCE_KINDS),
  'source.pattern': oneOf(PATTERN_NAMES),
  'source.seed': `a whole number from 0 to ${SEED_MAX}`,
  'source.path': PATH_ACCEPTED,
  'source.root': ROOT_ACCEPTED,
  'source.holes': oneOf(HOLES),
  'source.reflink': oneOf(REFLINKS),
  'source.extents': `a list of 1 to ${ITEMS_MAX} extents like ${EXTENT_EXAMPLE}`,
  'source.extents.*': `an object like ${EXTENT_EXAMPLE}`,
  'source.extents.*.offset': `0 to ${SIZE_BYTES_MAX} bytes, ${SIZE_EXAMPLE}`,
  'source.extents.*.size': `1 to ${SIZE_BYTES_MAX} bytes, ${SIZE_EXAMPLE}`,
  'source.extents.*.source': 'an object like {"kind": "pattern", "pattern": "stamp", "seed": 7}',
  'source.extents.*.source.kind': '"pattern"',
  'source.extents.*.source.pattern': oneOf(PATTERN_NAMES),
  'source.extents.*.source.seed': `a whole number from 0 to ${SEED_MAX}`,
  mode: oneOf(MODES),
  publish: oneOf(PUBLISHES),
  durability: oneOf(DURABILITIES),
};

/** What a bulk can say once for all its items. */
const SHARED_FIELDS = ['root', 'size', 'matrix', 'source', 'mode', 'publish', 'durability'] as const;

const FIELDS: Readonly<Record<string, readonly string[]>> = {
  request: ['path', ...SHARED_FIELDS],
  bulk: ['files', ...SHARED_FIELDS],
  matrix: ['rows', 'rowBytes'],
  pattern: ['kind', 'pattern', 'seed'],
  file: ['kind', 'path', 'root', 'holes', 'reflink'],
  extents: ['kind', 'extents'],
  extent: ['offset', 'size', 'source'],
};

function oneOf(words: readonly string[]): string {
  const quoted = words.map((word) => `"${word}"`);
  return `${quoted.slice(0, -1).join(', ')} or ${quoted.at(-1)}`;
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

/** Issues that are put into words: a list of thousands may have the same thing wrong with each. */
const ISSUES_MAX = 100;

/** @throws RequestError that names what in `plain` is not as `schema` wants it */
export function judge<T>(schema: z.ZodType<T>, plain: unknown, whole: 'request' | 'bulk'): T {
  const parsed = schema.safeParse(plain, { reportInput: false });
  if (parsed.success) return parsed.data;
  const { issues } = parsed.error;
  const described = issues.slice(0, ISSUES_MAX).flatMap((issue) => describeIssue(issue, plain, whole));
  throw requestError(described, Math.max(0, issues.length - ISSUES_MAX));
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

const NESTED_FIELDS = ['matrix', 'source'] as const;

/**
 * The own enumerable properties of a request and of the objects in it, as JSON would carry them, without prototype.
 *
 * zod reads a property several times and inherited ones too: a getter could answer differently each time, or throw.
 */
export function plainRequest(input: unknown, at: readonly string[]): unknown {
  const copy = plainObject(input, at);
  if (!isRecord(copy)) return copy;
  for (const field of NESTED_FIELDS) {
    if (Object.hasOwn(copy, field)) copy[field] = plainObject(copy[field], [...at, field]);
  }
  const { source } = copy;
  if (isRecord(source) && Object.hasOwn(source, 'extents')) {
    source['extents'] = plainList(source['extents'], [...at, 'source', 'extents'], plainExtent);
  }
  return copy;
}

function plainExtent(input: unknown, at: readonly string[]): unknown {
  const copy = plainObject(input, at);
  if (isRecord(copy) && Object.hasOwn(copy, 'source')) copy['source'] = plainObject(copy['source'], [...at, 'source']);
  return copy;
}

/** A list's items, each made plain by `copyOne`. One that is too long is refused before its items are looked at. */
export function plainList(
  value: unknown,
  at: readonly string[],
  copyOne: (item: unknown, at: readonly string[]) => unknown,
): unknown {
  const list = plainObject(value, at);
  if (!Array.isArray(list)) return list;
  let items: unknown[];
  try {
    const { length } = list as unknown[];
    if (length > ITEMS_MAX) throw refuse(at, value, `it has ${length} items`);
    items = Array.from({ length }, (_, index): unknown => list[index]);
  } catch (error) {
    throw error instanceof RequestError ? error : refuse(at, value, 'reading it failed', error);
  }
  return items.map((item, index) => copyOne(item, [...at, String(index)]));
}

function refuse(at: readonly string[], value: unknown, fault: string, cause?: unknown): RequestError {
  const field = fieldName(at);
  const accepted = acceptedAt(at);
  return new RequestError({ field, value, accepted, message: issueMessage(field, value, accepted, fault), cause });
}

function plainObject(value: unknown, at: readonly string[]): unknown {
  if (typeof value !== 'object' || value === null) return value;
  let copy: Record<string, unknown> | undefined;
  try {
    if (Array.isArray(value)) return value;
    // Any realm's Object.prototype has no prototype; a Map, a Date or an instance of a class has a longer chain.
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype === null || Object.getPrototypeOf(prototype) === null) {
      copy = emptyRecord();
      for (const key of Object.keys(value)) {
        const property: unknown = Reflect.get(value, key);
        // JSON drops undefined, so it is the same request without.
        if (property !== undefined) copy[key] = property;
      }
    }
  } catch (error) {
    throw refuse(at, value, 'reading it failed', error);
  }
  if (copy === undefined) throw refuse(at, value, 'it is not a plain object');
  return copy;
}

/** An object without prototype: a key "__proto__" is a property of it like any other. */
function emptyRecord(): Record<string, unknown> {
  const record: Record<string, unknown> = Object.create(null);
  return record;
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const UNKNOWN_FIELDS_MAX = 10;

function describeIssue(issue: z.core.$ZodIssue, plain: unknown, whole: 'request' | 'bulk'): RequestIssue[] {
  const at = issue.path.map(String);
  const own = valueAt(plain, at);
  // What an item leaves to its bulk is at fault there.
  const value = own === undefined && at[0] === 'files' ? valueAt(plain, at.slice(2)) : own;
  if (issue.code === 'unrecognized_keys') {
    const known = knownFields(at, value, whole);
    return issue.keys.slice(0, UNKNOWN_FIELDS_MAX).map((key) => describeUnknown(at, key, valueAt(value, [key]), known));
  }
  const field = fieldName(at);
  const accepted = acceptedAt(at);
  const said = issue.code === 'custom' && issue.message !== '' ? issue.message : undefined;
  const fault = said ?? (Array.isArray(value) && isList(at) ? `it has ${value.length} items` : undefined);
  // null is a value to be named; only undefined is missing.
  return [{ field, value, accepted, message: issueMessage(field, value, accepted, fault) }];
}

const fieldName = (at: readonly string[]): string => (at.length === 0 ? 'request' : at.join('.'));

/** Where a request's own fields begin: an item of a bulk is one. */
const withinItem = (at: readonly string[]): readonly string[] =>
  at[0] === 'files' && at.length > 2 ? at.slice(2) : at;

function acceptedAt(at: readonly string[]): string {
  const place = withinItem(at).map((key) => (/^\d+$/.test(key) ? '*' : key));
  return ACCEPTED[fieldName(place)] ?? 'another value';
}

const isList = (at: readonly string[]): boolean => at.at(-1) === 'files' || at.at(-1) === 'extents';

function valueAt(value: unknown, at: readonly string[]): unknown {
  let found = value;
  for (const key of at) {
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, key)) return undefined;
    found = Reflect.get(found, key);
  }
  return found;
}

/** The fields of the object at a place. */
function knownFields(at: readonly string[], value: unknown, whole: 'request' | 'bulk'): readonly string[] {
  const place = at.at(-1) ?? whole;
  if (place === 'source' && at.includes('extents')) return FIELDS['pattern'] ?? [];
  if (place === 'source' && isRecord(value)) return FIELDS[String(value['kind'])] ?? [];
  if (/^\d+$/.test(place)) return FIELDS[at.at(-2) === 'files' ? 'request' : 'extent'] ?? [];
  return FIELDS[place] ?? [];
}

function describeUnknown(at: readonly string[], key: string, value: unknown, known: readonly string[]): RequestIssue {
  const name = escapeControls(shorten(key, 60));
  const near = nearestField(key, known);
  const accepted = known.join(', ');
  const place = at.length === 0 ? '' : `${at.join('.')}: `;
  const guess = near === undefined ? '' : `; did you mean "${near}"?`;
  return {
    field: [...at, name].join('.'),
    value,
    accepted,
    message: `${place}unknown field ${printValue(key)}${guess === '' ? ';' : guess} accepted: ${accepted}`,
  };
}

/** The field a misspelt one most likely stands for: the nearest, within a third of its letters. */
function nearestField(key: string, known: readonly string[]): string | undefined {
  if (key.length > 24) return undefined;
  const letters = bareName(key);
  let nearest: string | undefined;
  let nearestDistance = Math.max(1, Math.floor(letters.length / 3)) + 1;
  for (const name of known) {
    const distance = editDistance(letters, bareName(name));
    if (distance < nearestDistance) {
      nearest = name;
      nearestDistance = distance;
    }
  }
  return nearest;
}

/** 'row_bytes', 'row-bytes' and 'RowBytes' differ from 'rowBytes' in manner only. */
function bareName(name: string): string {
  return name.toLowerCase().replaceAll(/[_\s-]/g, '');
}

/** Levenshtein's distance: letters to insert, delete or replace. */
function editDistance(from: string, to: string): number {
  let previous = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let row = 1; row <= from.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= to.length; column += 1) {
      const replaced = (previous[column - 1] ?? 0) + (from[row - 1] === to[column - 1] ? 0 : 1);
      current.push(Math.min(replaced, (previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[to.length] ?? 0;
}

const ISSUES_IN_MESSAGE_MAX = 3;

/** @param unsaid how many more there are that nobody put into words */
function requestError(found: readonly RequestIssue[], unsaid: number): RequestError {
  // zod tells a value that breaks two rules twice; one sentence says it.
  const issues = found.filter((issue, index) => found.findIndex((other) => other.message === issue.message) === index);
  const [first] = issues;
  if (first === undefined) throw new Error('zod refused a request without an issue');
  const shown = issues.slice(0, ISSUES_IN_MESSAGE_MAX).map((issue) => issue.message);
  const rest = issues.length - shown.length + unsaid;
  const message = shown.join('. Also: ') + (rest > 0 ? `. And ${rest} more` : '');
  return new RequestError({ field: first.field, value: first.value, accepted: first.accepted, message, issues });
}
