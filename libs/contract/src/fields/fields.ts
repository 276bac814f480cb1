/** The fields of a request: their bounds, the words they take, and what each accepts in words that a person reads. */
import { SIZE_BYTES_MAX, SIZE_EXAMPLE } from '../text/size.ts';

export const PATTERN_NAMES = ['zero', 'byte', 'counter', 'text', 'stamp', 'random'] as const;
/** The name of a pattern; its bytes are described with the sources. */
export type PatternName = (typeof PATTERN_NAMES)[number];

export const ROW_COUNT_MAX = 65_536;
export const ROW_BYTES_MAX = 1_073_741_824;
export const SEED_MAX = 0xffff_ffff;
export const MODES = ['create', 'replace', 'overwrite', 'append'] as const;
export const PUBLISHES = ['atomic', 'in-place'] as const;
export const DURABILITIES = ['none', 'fdatasync', 'dsync'] as const;
export const CHECKSUMS = ['none', 'crc32c', 'sha256'] as const;
/** How the bytes are summed up: CRC-32C (RFC 3720) or SHA-256, reported in hexadecimal digits. */
export type ChecksumName = Exclude<(typeof CHECKSUMS)[number], 'none'>;
/** Hexadecimal digits of each checksum. */
export const CHECKSUM_DIGITS = { crc32c: 8, sha256: 64 } as const;
export const VERIFIES = ['none', 'readback'] as const;
export const SOURCE_KINDS = ['pattern', 'inline', 'file', 'extents', 'url', 'shm', 'manifest', 'stream'] as const;
export const HOLES = ['fill', 'keep'] as const;
export const REFLINKS = ['never', 'auto', 'always'] as const;
export const MTIMES = ['now', 'keep'] as const;
export const SHARD_FAILURES = ['fail', 'list'] as const;
/** Shards of one flow, each a job: more files than that go as bulks. */
export const SHARDS_MAX = 100_000;
export const ID_CHARACTERS_MAX = 1024;
/** Bytes that one request may carry itself, its items together: every one of them lies in Redis, and travels as text. */
export const INLINE_BYTES_MAX = 1_048_576;
export const URL_CHARACTERS_MAX = 4096;
export const REDIRECTS_MAX = 20;
export const REDIRECTS_DEFAULT = 5;
export const URL_TIMEOUT_MS_MIN = 100;
export const URL_TIMEOUT_MS_MAX = 3_600_000;
export const URL_TIMEOUT_MS_DEFAULT = 30_000;
/** Octal permission bits, set-user-ID and the like left out: a job must not make programs that run as somebody else. */
export const FILE_MODE_TEXT: RegExp = /^(?:0?[0-7]{3}|keep)$/;
/** What a request names where any host may write it; no host has this name. */
export const ANY_HOST = 'any';
export const HOST_NAME: RegExp = /^[\w.-]{1,128}$/;
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
  'source.mtime': oneOf(MTIMES),
  'source.data': `base64 of up to ${INLINE_BYTES_MAX} bytes, all items of a request together; for more, source kind "shm", "file" or "url"`,
  'source.url': 'an absolute URL, http: or https:, without user and password, like "https://example.org/a.iso"',
  'source.redirects': `a whole number from 0 to ${REDIRECTS_MAX}`,
  'source.timeoutMs': `milliseconds without a byte, a whole number from ${URL_TIMEOUT_MS_MIN} to ${URL_TIMEOUT_MS_MAX}`,
  'source.name': 'the path of a segment below the host\'s shared-memory root, like "captures/frame-7"',
  'source.shards': `the ids of the shards' jobs in the order of the manifest, or how many shards there are, from 1 to ${SHARDS_MAX}`,
  'source.onShardFailure': oneOf(SHARD_FAILURES),
  'source.offset': `0 to ${SIZE_BYTES_MAX} bytes, ${SIZE_EXAMPLE}`,
  offset: `0 to ${SIZE_BYTES_MAX} bytes, ${SIZE_EXAMPLE}, with mode "overwrite" alone`,
  mode: oneOf(MODES),
  publish: `${oneOf(PUBLISHES)}; to overwrite and append "in-place" alone`,
  durability: oneOf(DURABILITIES),
  checksum: oneOf(CHECKSUMS),
  expect: 'the checksum in hexadecimal digits: 8 for crc32c, 64 for sha256',
  verify: oneOf(VERIFIES),
  fileMode: 'three octal digits like "640", or "keep" for a copy',
  limit: 'an object like {"bytesPerSecond": "100MiB"}',
  'limit.bytesPerSecond': `0 (no limit) to ${SIZE_BYTES_MAX} bytes a second, ${SIZE_EXAMPLE}`,
  target: 'an object like {"host": "any"} or {"host": "disk-3"}',
  'target.host': '"any", or the name of a host: 1 to 128 letters, digits, dots, _ or -',
};

/** What each file of a bulk can say, or the bulk once for all of them. */
const FILE_FIELDS = [
  'root',
  'size',
  'matrix',
  'source',
  'offset',
  'mode',
  'publish',
  'durability',
  'checksum',
  'expect',
  'verify',
  'fileMode',
] as const;
/** What is said of a job as a whole. */
const JOB_FIELDS = ['limit', 'target'] as const;

export const FIELDS: Readonly<Record<string, readonly string[]>> = {
  request: ['path', ...FILE_FIELDS, ...JOB_FIELDS],
  bulk: ['files', ...FILE_FIELDS, ...JOB_FIELDS],
  item: ['path', ...FILE_FIELDS],
  matrix: ['rows', 'rowBytes'],
  limit: ['bytesPerSecond'],
  target: ['host'],
  pattern: ['kind', 'pattern', 'seed'],
  inline: ['kind', 'data'],
  file: ['kind', 'path', 'root', 'holes', 'reflink', 'mtime'],
  url: ['kind', 'url', 'redirects', 'timeoutMs'],
  shm: ['kind', 'name', 'offset'],
  manifest: ['kind', 'shards', 'onShardFailure'],
  stream: ['kind'],
  extents: ['kind', 'extents'],
  extent: ['offset', 'size', 'source'],
};

export function oneOf(words: readonly string[]): string {
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
