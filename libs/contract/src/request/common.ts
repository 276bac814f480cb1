/**
 * The requests that most jobs are, judged by hand: zod takes as long for one as the rest of the way to its thread. What else
 * a request says, or says wrong, is left to the schema, which would say the same of these.
 *
 * The decision: libs/README.md#common-requests-by-hand.
 */
import { CHECKSUMS, DURABILITIES, ITEMS_MAX, MODES, PUBLISHES, VERIFIES } from '../fields/fields.ts';
import { pathFault, ROOT_NAME } from '../fields/paths.ts';
import { SIZE_BYTES_MAX } from '../text/size.ts';
import { isRecord } from './plain.ts';
import { sourceSchema } from './source.ts';
import { type BulkItem, type BulkRequest, REQUEST_DEFAULTS, withPublish, type WriteRequest } from './write-request.ts';

type Plain = Record<string, unknown>;
/** What is said of a file besides its path. */
type Said = Omit<BulkItem, 'path'>;

const SAID: ReadonlySet<string> = new Set([
  'root',
  'size',
  'source',
  'mode',
  'publish',
  'durability',
  'checksum',
  'verify',
]);

/**
 * What the schema makes of `plain`, an object without prototype, if its fields are right one by one; null if that is for the
 * schema to judge.
 */
export function commonRequest(plain: unknown): WriteRequest | null {
  if (!isRecord(plain) || !isPath(plain['path']) || !saysOnly(plain, 'path')) return null;
  const request = say({ path: plain['path'] }, plain, REQUEST_DEFAULTS);
  return request === null ? null : withPublish(request as WriteRequest);
}

/** The same of a bulk, whose list and items are plain too. */
export function commonBulk(plain: Plain): BulkRequest | null {
  const { files } = plain;
  if (!Array.isArray(files) || files.length === 0 || files.length > ITEMS_MAX || !saysOnly(plain, 'files')) return null;
  const items: BulkItem[] = [];
  for (const each of files as unknown[]) {
    const item = commonItem(each);
    if (item === null) return null;
    items.push(item);
  }
  return say({ files: items }, plain, REQUEST_DEFAULTS) as BulkRequest | null;
}

function commonItem(plain: unknown): BulkItem | null {
  if (!isRecord(plain) || !isPath(plain['path']) || !saysOnly(plain, 'path')) return null;
  return say({ path: plain['path'] }, plain, {});
}

const isPath = (value: unknown): value is string => typeof value === 'string' && pathFault(value) === null;

function saysOnly(plain: Plain, named: 'path' | 'files'): boolean {
  for (const key in plain) if (key !== named && !SAID.has(key)) return false;
  return true;
}

/**
 * `about` with what `plain` says, in the order of the schema: checkpoints know a request by its text. null if a field is not
 * surely right.
 */
function say<T extends object>(about: T, plain: Plain, defaults: Said): (T & Said) | null {
  const said: T & Said = about;
  const { root = defaults.root, mode = defaults.mode, durability = defaults.durability } = plain;
  const { size, source, publish, checksum, verify } = plain;
  if (root !== undefined) {
    if (typeof root !== 'string' || !ROOT_NAME.test(root)) return null;
    said.root = root;
  }
  if (size !== undefined) {
    if (!isSize(size)) return null;
    said.size = size === 0 ? 0 : size; // of -0 too
  }
  if (source !== undefined) {
    const judged = sourceSchema.safeParse(source);
    if (!judged.success) return null;
    said.source = judged.data;
  } else if (defaults.source !== undefined) {
    said.source = { ...defaults.source };
  }
  if (mode !== undefined) {
    if (!isOneOf(MODES, mode)) return null;
    said.mode = mode;
  }
  if (publish !== undefined) {
    if (!isOneOf(PUBLISHES, publish)) return null;
    said.publish = publish;
  }
  if (durability !== undefined) {
    if (!isOneOf(DURABILITIES, durability)) return null;
    said.durability = durability;
  }
  if (checksum !== undefined) {
    if (!isOneOf(CHECKSUMS, checksum)) return null;
    said.checksum = checksum;
  }
  if (verify !== undefined) {
    if (!isOneOf(VERIFIES, verify)) return null;
    said.verify = verify;
  }
  return said;
}

const isSize = (value: unknown): value is number =>
  Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= SIZE_BYTES_MAX;

const isOneOf = <T extends string>(words: readonly T[], value: unknown): value is T => words.includes(value as T);
