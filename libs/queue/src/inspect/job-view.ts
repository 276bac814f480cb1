/** A job as lists and people see it: what its hash says, judged field by field, for anybody may have written there. */
import type { WireError, WriteProgress } from '@penstock/contract';
import { isProgress } from '../jobs/foreign.ts';
import { errorOf } from '../watch/failed-reason.ts';

/** Where a job is. `lost`: in no line of its queue, so that no host ever takes it. */
export type JobState =
  | 'waiting'
  | 'prioritized'
  | 'delayed'
  | 'waiting-children'
  | 'active'
  | 'completed'
  | 'failed'
  | 'lost';

/** A job in a list. What it does not say, or says in no form that Penstock knows, is null. */
export interface JobView {
  /** As `watch`, `cancel` and the others take it. */
  id: string;
  /** Where it is now. */
  state: JobState;
  /** The one host that its target names; null: any. */
  target: string | null;
  /** The host that has it, or had it last. */
  host: string | null;
  /** The root that it writes to. */
  root: string | null;
  /** The file's path in its root; of a bulk the path of its first. */
  path: string | null;
  /** How many files it writes. */
  files: number;
  /** Milliseconds since 1970, by the clock of who added it. */
  addedAtMs: number;
  /** When it was begun last, by the clock of its host. */
  startedAtMs: number | null;
  /** When it ended, by the clock of its host. */
  endedAtMs: number | null;
  /** Attempts that have ended. */
  attempts: number;
  /** How many it may have. */
  attemptsMax: number;
  /** The newest progress that its host reported. */
  progress: WriteProgress | null;
  /** Why it failed for good; of one that is tried again, why its last attempt failed. */
  error: WireError | null;
}

/** The fields of a job's hash that a view is made of. */
export const VIEW_FIELDS = [
  'data',
  'opts',
  'timestamp',
  'processedOn',
  'finishedOn',
  'atm',
  'progress',
  'failedReason',
  'returnvalue',
] as const;

type Fields = Readonly<Record<(typeof VIEW_FIELDS)[number], string | null>>;

/** The view of a job whose hash has these fields; null if there is no job any more. */
export function viewOf(id: string, state: JobState, values: readonly (string | null)[]): JobView | null {
  const fields = Object.fromEntries(VIEW_FIELDS.map((field, index) => [field, values[index] ?? null])) as Fields;
  if (fields.timestamp === null && fields.data === null) return null;
  const request = recordIn(fields.data);
  const reported: unknown = jsonIn(fields.progress);
  const progress = isProgress(reported) ? reported : null;
  const items = Array.isArray(request['files']) ? request['files'] : null;
  return {
    id,
    state,
    target: textIn(recordOf(request['target'])['host']),
    host: textIn(recordIn(fields.returnvalue)['host']) ?? progress?.host ?? null,
    root: textIn(request['root']) ?? (items === null && request['path'] === undefined ? null : 'data'),
    path: textIn(request['path']) ?? textIn(recordOf(items?.[0])['path']),
    files: items?.length ?? 1,
    addedAtMs: numberIn(fields.timestamp) ?? 0,
    startedAtMs: numberIn(fields.processedOn),
    endedAtMs: numberIn(fields.finishedOn),
    attempts: numberIn(fields.atm) ?? 0,
    attemptsMax: Math.max(1, Number(recordIn(fields.opts)['attempts']) || 1),
    progress,
    error: progress?.error ?? (state === 'failed' ? errorOf(fields.failedReason ?? '') : null),
  };
}

function jsonIn(text: string | null): unknown {
  try {
    return JSON.parse(text ?? 'null');
  } catch {
    return null;
  }
}

const recordOf = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
const recordIn = (text: string | null): Record<string, unknown> => recordOf(jsonIn(text));
const textIn = (value: unknown): string | null => (typeof value === 'string' ? value : null);

function numberIn(text: string | null): number | null {
  const value = Number.parseInt(text ?? '', 10);
  return Number.isNaN(value) ? null : value;
}
