// The fields of a request: their bounds, the words they take, and what each accepts in words that a person reads.
import { SIZE_BYTES_MAX, SIZE_EXAMPLE } from './size.ts';

export const PATTERN_NAMES = ['zero', 'byte', 'counter', 'text', 'stamp', 'random'] as const;
export type PatternName = (typeof PATTERN_NAMES)[number];

export const ROW_COUNT_MAX = 65_536;
export const ROW_BYTES_MAX = 1_073_741_824;
export const SEED_MAX = 0xffff_ffff;
export const MODES = ['create', 'replace'] as const;
export const PUBLISHES = ['atomic', 'in-place'] as const;
export const DURABILITIES = ['none', 'fdatasync'] as const;
const SOURCE_KINDS = ['pattern', 'file', 'extents'] as const;
export const HOLES = ['fill', 'keep'] as const;
export const REFLINKS = ['never', 'auto', 'always'] as const;
/** Items of a bulk and extents of its files, in one request: judging as many takes the host's event loop about 6 ms. */
export const ITEMS_MAX = 1000;

export const PATH_ACCEPTED =
  'a relative path inside its root, without "..", up to 4095 bytes, like "captures/run-42.dat"';
const EXTENT_EXAMPLE = '{"offset": "1MiB", "size": 4096, "source": {"kind": "pattern"}}';
export const ROOT_ACCEPTED = 'the name of one of the host\'s roots, like "data": 1 to 64 letters, digits, _ or -';

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

export const FIELDS: Readonly<Record<string, readonly string[]>> = {
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

export const fieldName = (at: readonly string[]): string => (at.length === 0 ? 'request' : at.join('.'));

/** Where a request's own fields begin: an item of a bulk is one. */
const withinItem = (at: readonly string[]): readonly string[] =>
  at[0] === 'files' && at.length > 2 ? at.slice(2) : at;

export function acceptedAt(at: readonly string[]): string {
  const place = withinItem(at).map((key) => (/^\d+$/.test(key) ? '*' : key));
  return ACCEPTED[fieldName(place)] ?? 'another value';
}

export const isList = (at: readonly string[]): boolean => at.at(-1) === 'files' || at.at(-1) === 'extents';

/** What is said of the list with which a bulk's items and extents become too many. */
export const totalMessage = (at: readonly string[]): string =>
  `${fieldName(at)}: with it there are more than ${ITEMS_MAX} items and extents in all; send some in further jobs`;

/** What is said of a list that has too few items or too many. */
export const lengthMessage = (at: readonly string[], length: number): string =>
  `${fieldName(at)}: ${length} items are not accepted; give ${acceptedAt(at)}`;
