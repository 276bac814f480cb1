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
  source: PatternSource | FileSource;
  /** 'create' fails where the file exists. */
  mode: 'create' | 'replace';
  /** 'atomic': readers see the old file or the new one, never a part. */
  publish: 'atomic' | 'in-place';
  /** 'fdatasync': completed means it survives power loss. */
  durability: 'none' | 'fdatasync';
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
    | { kind: 'pattern'; pattern?: PatternName | undefined; seed?: number | undefined }
    | {
        kind: 'file';
        path: string;
        root?: string | undefined;
        /** Default 'fill'. */
        holes?: FileSource['holes'] | undefined;
        /** Default 'never'. */
        reflink?: FileSource['reflink'] | undefined;
      }
    | undefined;
  /** Default 'replace'. */
  mode?: WriteRequest['mode'] | undefined;
  /** Default 'atomic'. */
  publish?: WriteRequest['publish'] | undefined;
  /** Default 'fdatasync'. */
  durability?: WriteRequest['durability'] | undefined;
}

const ROW_COUNT_MAX = 65_536;
const ROW_BYTES_MAX = 1_073_741_824;
const SEED_MAX = 0xffff_ffff;
const MODES = ['create', 'replace'] as const;
const PUBLISHES = ['atomic', 'in-place'] as const;
const DURABILITIES = ['none', 'fdatasync'] as const;
const SOURCE_KINDS = ['pattern', 'file'] as const;
export const HOLES = ['fill', 'keep'] as const;
export const REFLINKS = ['never', 'auto', 'always'] as const;

const PATH_ACCEPTED = 'a relative path inside its root, without "..", up to 4095 bytes, like "captures/run-42.dat"';
const ROOT_ACCEPTED = 'the name of one of the host\'s roots, like "data": 1 to 64 letters, digits, _ or -';

/** What each field accepts, in words that follow "give"; the JSON Schema carries the same words. */
const ACCEPTED: Readonly<Record<string, string>> = {
  request: 'a plain JSON object like {"path": "run-42.dat", "size": "1GiB"}',
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
  mode: oneOf(MODES),
  publish: oneOf(PUBLISHES),
  durability: oneOf(DURABILITIES),
};

const FIELDS: Readonly<Record<string, readonly string[]>> = {
  request: ['path', 'root', 'size', 'matrix', 'source', 'mode', 'publish', 'durability'],
  matrix: ['rows', 'rowBytes'],
  pattern: ['kind', 'pattern', 'seed'],
  file: ['kind', 'path', 'root', 'holes', 'reflink'],
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
  .default('data')
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
  root: rootSchema,
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

const requestSchema: z.ZodType<WriteRequest, WriteRequestInput> = z
  .strictObject({
    path: pathSchema(`The file to write: ${PATH_ACCEPTED}`),
    root: rootSchema,
    size: sizeSchema(
      0,
      SIZE_BYTES_MAX,
      'Bytes, as a number or a text: MiB is 2^20, MB is 10^6. Required unless the source is a file.',
    ).exactOptional(),
    matrix: z
      .strictObject({
        rows: z.int().min(1).max(ROW_COUNT_MAX),
        rowBytes: sizeSchema(1, ROW_BYTES_MAX, 'Bytes of one row, as a number or a text like "1MiB"'),
      })
      .meta({ description: 'The buffer: its rows are filled and written in turn. Default: chosen by the writer.' })
      .exactOptional(),
    source: z
      .discriminatedUnion('kind', [patternSourceSchema, fileSourceSchema])
      .default({ kind: 'pattern', pattern: 'zero', seed: 0 })
      .meta({ description: 'Where the bytes come from' }),
    mode: z.enum(MODES).default('replace').meta({ description: '"create" fails where the file exists' }),
    publish: z
      .enum(PUBLISHES)
      .default('atomic')
      .meta({ description: '"atomic": readers see the old file or the new one, never a part' }),
    durability: z
      .enum(DURABILITIES)
      .default('fdatasync')
      .meta({ description: '"fdatasync": a completed write survives power loss' }),
  })
  .check((context) => {
    const { source, size, path, root, publish } = context.value;
    if (source.kind === 'pattern' && size === undefined) {
      context.issues.push({ code: 'custom', input: size, path: ['size'], message: '' });
    }
    if (source.kind === 'file' && publish === 'in-place' && source.path === path && source.root === root) {
      const message = 'it is the file to be written, and writing it in place would destroy the source';
      context.issues.push({ code: 'custom', input: source.path, path: ['source', 'path'], message });
    }
  });

/**
 * Judges a request and fills in its defaults. Takes anything, and reads each property once.
 *
 * @throws RequestError, and nothing else: its message names every field at fault (the first few in full), the value
 * found and what would be accepted.
 */
export function parseRequest(input: unknown): WriteRequest {
  const plain = plainCopy(input);
  const parsed = requestSchema.safeParse(plain, { reportInput: false });
  if (parsed.success) return parsed.data;
  throw requestError(parsed.error.issues.flatMap((issue) => describeIssue(issue, plain)));
}

/** The request's JSON Schema (draft 7) as producers see it: before defaults. It cannot count the bytes of a path. */
export const requestJsonSchema: object = {
  ...z.toJSONSchema(requestSchema, { io: 'input', target: 'draft-7', unrepresentable: 'any' }),
  title: 'WriteRequest',
  // A pattern has no size of its own; the default source is one.
  if: {
    required: ['source'],
    properties: { source: { type: 'object', required: ['kind'], properties: { kind: { const: 'file' } } } },
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
function plainCopy(input: unknown): unknown {
  const copy = plainObject(input, 'request');
  if (isRecord(copy)) {
    for (const field of NESTED_FIELDS) {
      if (Object.hasOwn(copy, field)) copy[field] = plainObject(copy[field], field);
    }
  }
  return copy;
}

function plainObject(value: unknown, field: string): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const accepted = ACCEPTED[field] ?? '';
  const refuse = (fault: string, cause?: unknown): RequestError =>
    new RequestError({ field, value, accepted, message: issueMessage(field, value, accepted, fault), cause });
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
    throw refuse('reading it failed', error);
  }
  if (copy === undefined) throw refuse('it is not a plain object');
  return copy;
}

/** An object without prototype: a key "__proto__" is a property of it like any other. */
function emptyRecord(): Record<string, unknown> {
  const record: Record<string, unknown> = Object.create(null);
  return record;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const UNKNOWN_FIELDS_MAX = 10;

function describeIssue(issue: z.core.$ZodIssue, plain: unknown): RequestIssue[] {
  const path = issue.path.map(String);
  const value = valueAt(plain, path);
  if (issue.code === 'unrecognized_keys') {
    const known = knownFields(path, value);
    return issue.keys
      .slice(0, UNKNOWN_FIELDS_MAX)
      .map((key) => describeUnknown(path, key, valueAt(value, [key]), known));
  }
  const field = path.length === 0 ? 'request' : path.join('.');
  const accepted = ACCEPTED[field] ?? 'another value';
  const fault = issue.code === 'custom' && issue.message !== '' ? issue.message : undefined;
  // null is a value to be named; only undefined is missing.
  return [{ field, value, accepted, message: issueMessage(field, value, accepted, fault) }];
}

function valueAt(value: unknown, path: readonly string[]): unknown {
  let found = value;
  for (const key of path) {
    if (!isRecord(found) || !Object.hasOwn(found, key)) return undefined;
    found = found[key];
  }
  return found;
}

function knownFields(path: readonly string[], value: unknown): readonly string[] {
  const place = path.at(-1) ?? 'request';
  const key = place === 'source' && isRecord(value) ? String(value['kind']) : place;
  return FIELDS[key] ?? [];
}

function describeUnknown(path: readonly string[], key: string, value: unknown, known: readonly string[]): RequestIssue {
  const name = escapeControls(shorten(key, 60));
  const near = nearestField(key, known);
  const accepted = known.join(', ');
  const place = path.length === 0 ? '' : `${path.join('.')}: `;
  const guess = near === undefined ? '' : `; did you mean "${near}"?`;
  return {
    field: [...path, name].join('.'),
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

function requestError(found: readonly RequestIssue[]): RequestError {
  // zod tells a value that breaks two rules twice; one sentence says it.
  const issues = found.filter((issue, index) => found.findIndex((other) => other.message === issue.message) === index);
  const [first] = issues;
  if (first === undefined) throw new Error('zod refused a request without an issue');
  const shown = issues.slice(0, ISSUES_IN_MESSAGE_MAX).map((issue) => issue.message);
  const rest = issues.length - shown.length;
  const message = shown.join('. Also: ') + (rest > 0 ? `. And ${rest} more` : '');
  return new RequestError({ field: first.field, value: first.value, accepted: first.accepted, message, issues });
}
