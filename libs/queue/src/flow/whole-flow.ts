/**
 * Whether a flow is whole: what its manifest asks for, compared with what the queue knows of its shards. The queue alone
 * cannot say: of a child that was removed, or dropped when it failed, nothing is left that could be missed.
 */
import { escapeControls, type ManifestSource } from '@penstock/contract';

/** What the queue still knows of a job's children. Those that were removed, or dropped when they failed, are nowhere. */
export interface Children {
  /** Ids and what their jobs returned. */
  results: Map<string, unknown>;
  /** Ids and why they failed. */
  failures: Map<string, string>;
  /** Ids of those that have not ended. */
  unfinished: string[];
}

/** A flow whose shards are not all there: its manifest cannot be, however often it is tried. */
export class ShardError extends Error {
  override readonly name: string = 'ShardError';
  readonly code = 'ESHARD';
  readonly retryable = false;
  readonly hint: string;

  constructor(message: string, hint: string) {
    super(message);
    this.hint = hint;
  }
}

const GONE = 'was removed, or dropped when it failed (removeDependencyOnFailure)';
const ADD_AGAIN = 'Add the flow again: a manifest lists all of its shards or is not written.';

/** Why no manifest may be written, or null. */
export function faultOfFlow(declared: ManifestSource, children: Children): ShardError | null {
  return (
    faultOfNumber(declared, children) ??
    faultOfUnfinished(children) ??
    faultOfResults(children) ??
    (declared.onShardFailure === 'list' ? null : faultOfFailures(children))
  );
}

const known = ({ results, failures, unfinished }: Children): string[] => [
  ...results.keys(),
  ...failures.keys(),
  ...unfinished,
];

function faultOfNumber({ shards }: ManifestSource, children: Children): ShardError | null {
  const found = known(children);
  const wanted = typeof shards === 'number' ? shards : shards.length;
  if (found.length === 0) {
    return new ShardError(`None of ${wanted} shards is there: this job has no children, which a flow has.`, ADD_AGAIN);
  }
  if (typeof shards === 'number') {
    if (found.length === shards) return null;
    const why = found.length < shards ? `; each of the others ${GONE}` : '';
    return new ShardError(`The shards declared: ${shards}, there: ${found.length}${why}.`, ADD_AGAIN);
  }
  const there = new Set(found);
  const missing = shards.filter((id) => !there.has(id));
  if (missing.length > 0) {
    return new ShardError(`Of ${shards.length} shards ${some(missing)} not there: it ${GONE}.`, ADD_AGAIN);
  }
  const asked = new Set(shards);
  const unasked = found.filter((id) => !asked.has(id));
  if (unasked.length === 0) return null;
  return new ShardError(
    `This job waited for ${unasked.length === 1 ? 'a job' : 'jobs'} that source.shards does not name: ${list(unasked)}.`,
    'Give the ids of all shards.',
  );
}

function faultOfUnfinished({ unfinished, failures }: Children): ShardError | null {
  if (unfinished.length === 0) return null;
  const [failed] = failures.keys();
  const begun = failed === undefined ? '' : `, and the manifest was begun because ${job(failed)} failed`;
  return new ShardError(
    `Of the shards ${some(unfinished)} not done yet${begun}.`,
    'A shard with continueParentOnFailure begins the manifest too early: set failParentOnFailure, or ignoreDependencyOnFailure ' +
      'with onShardFailure "list". Once all shards have ended, this job can be retried by hand.',
  );
}

/** A child that some other program carried out has put no file on a disk that we know of. */
function faultOfResults({ results }: Children): ShardError | null {
  const foreign = [...results].filter(([, result]) => pathOf(result) === null).map(([id]) => id);
  if (foreign.length === 0) return null;
  return new ShardError(
    `What ${list(foreign)} returned is not the result of a write.`,
    'Shards are jobs of this queue.',
  );
}

function faultOfFailures({ results, failures }: Children): ShardError | null {
  const hint = (id: string): string =>
    `Look at why: penstock watch ${id}. With onShardFailure "list" it would be listed.`;
  for (const [id, reason] of failures)
    return new ShardError(`A shard failed for good, ${job(id)}: ${reason}`, hint(id));
  for (const [id, result] of results) {
    const { failed, files } = result as Partial<{ failed: number; files: number }>;
    if (failed === undefined || failed === 0) continue;
    return new ShardError(`A shard wrote ${files! - failed} of its ${files} files, ${job(id)}.`, hint(id));
  }
  return null;
}

/**
 * The ids of the shards in the order of the manifest, the same for each attempt: as they were declared; else by the
 * number at their end if they differ in nothing else; else by root and path of what they wrote (of a bulk, its
 * first file), the failed ones last; if that is the same, by id.
 */
export function inOrder({ shards }: ManifestSource, children: Children): string[] {
  if (typeof shards !== 'number') return shards;
  const ids = known(children);
  const numbered = ids.map(numberedId);
  const prefix = numbered[0]?.prefix;
  const isNumbered = numbered.every((id) => id.number !== '' && id.prefix === prefix);
  const byText = (one: string, other: string): number => (one < other ? -1 : Number(one > other));
  if (isNumbered) {
    // As texts, the longer the greater: a number may have more digits than a double holds.
    const byNumber = (one: NumberedId, other: NumberedId): number =>
      one.number.length - other.number.length || byText(one.number, other.number) || byText(one.id, other.id);
    return numbered.toSorted(byNumber).map(({ id }) => id);
  }
  const named = ids.map((id) => ({ id, name: pathOf(children.results.get(id)) ?? '\uFFFF' }));
  return named.toSorted((one, other) => byText(one.name, other.name) || byText(one.id, other.id)).map(({ id }) => id);
}

interface NumberedId {
  id: string;
  prefix: string;
  /** Without leading zeros; '' if there is none. */
  number: string;
}

const DIGITS = /^\d$/;

/** Takes apart an id with a number at its end, behind which "@" may name a host. */
function numberedId(id: string): NumberedId {
  const at = id.indexOf('@');
  const end = at === -1 ? id.length : at;
  let start = end;
  // By hand: of an id of very many digits a pattern would try each of them as the first.
  while (start > 0 && DIGITS.test(id[start - 1]!)) start -= 1;
  return { id, prefix: id.slice(0, start), number: id.slice(start, end).replace(/^0+(?=\d)/, '') };
}

/** Root and path of the first file that a job wrote; null if it is no write's result. Not by its request: that may be gone. */
function pathOf(result: unknown): string | null {
  if (typeof result !== 'object' || result === null) return null;
  const { root, path, items } = result as Partial<Record<'root' | 'path' | 'items', unknown>>;
  if (Array.isArray(items)) return items.length === 0 ? null : pathOf(items[0]);
  return typeof path === 'string' ? `${typeof root === 'string' ? root : ''}\0${path}` : null;
}

const SHOWN_MAX = 3;

const job = (id: string): string => `job ${escapeControls(id)}`;

function list(ids: readonly string[]): string {
  const shown = ids.slice(0, SHOWN_MAX).map(job).join(', ');
  return ids.length > SHOWN_MAX ? `${shown} and ${ids.length - SHOWN_MAX} more` : shown;
}

const some = (ids: readonly string[]): string => `${list(ids)} ${ids.length === 1 ? 'is' : 'are'}`;
