/** Judges what a job's progress and result hold: workers of other programs may take jobs and report anything. */
import {
  completeResult,
  escapeControls,
  type JobResult,
  type ShortWriteResult,
  type WireError,
  type WriteProgress,
} from '@penstock/contract';

type Fields = Readonly<Record<string, unknown>>;

const recordOf = (value: unknown): Fields => (typeof value === 'object' && value !== null ? (value as Fields) : {});

const areNumbers = (record: unknown, fields: readonly string[]): boolean =>
  fields.every((field) => typeof recordOf(record)[field] === 'number');

/** True if `value` has every field of a host's progress that its readers use. */
export function isProgress(value: unknown): value is WriteProgress {
  const { phase, etaMs, note, error } = recordOf(value);
  return (
    areNumbers(value, ['progress', 'bytesWritten', 'totalBytes', 'bytesPerSecond']) &&
    typeof phase === 'string' &&
    (etaMs === null || typeof etaMs === 'number') &&
    (note === undefined || typeof note === 'string') &&
    (error === undefined || typeof recordOf(error)['message'] === 'string')
  );
}

/** The whole result that `value`, the return value of a job, stands for; null if it is no host's. */
export function jobResultOf(value: unknown): JobResult | null {
  const result: unknown = isShortResult(value) ? completeResult(value) : value;
  return isJobResult(result) ? result : null;
}

function isShortResult(value: unknown): value is ShortWriteResult {
  const { items, matrix, writeLatencyUs } = recordOf(value);
  return (
    items === undefined &&
    areNumbers(matrix, ['rowBytes']) &&
    isAbsentOr(areNumbers(writeLatencyUs, ['count', 'max']), writeLatencyUs)
  );
}

/** True if `value` has every field of a host's result, of a single write or of a bulk, that its readers use. */
function isJobResult(value: unknown): value is JobResult {
  const { items, durationsMs } = recordOf(value);
  if (!areNumbers(value, ['bytes', 'bytesPerSecond']) || !areNumbers(durationsMs, ['total'])) return false;
  return items === undefined ? hasWriteFields(recordOf(value)) : hasBulkFields(recordOf(value));
}

function hasWriteFields({
  path,
  mode,
  durationsMs,
  writeLatencyUs,
  notKept,
  checksum,
  holeBytes,
  resumedFrom,
}: Fields): boolean {
  return (
    typeof path === 'string' &&
    typeof mode === 'string' &&
    areNumbers(durationsMs, ['waiting', 'verifying']) &&
    areNumbers(writeLatencyUs, ['count', 'p50', 'p99']) &&
    isAbsentOr(Array.isArray(notKept), notKept) &&
    isAbsentOr(typeof recordOf(checksum)['value'] === 'string', checksum) &&
    isAbsentOr(typeof holeBytes === 'number', holeBytes) &&
    isAbsentOr(typeof resumedFrom === 'number', resumedFrom)
  );
}

function hasBulkFields(result: Fields): boolean {
  const { items, modes } = result;
  if (!areNumbers(result, ['files', 'failed', 'filesPerSecond']) || typeof modes !== 'object' || modes === null)
    return false;
  return Array.isArray(items) && items.every((item) => isItem(recordOf(item)));
}

const isItem = ({ path, error, notKept }: Fields): boolean =>
  typeof path === 'string' &&
  isAbsentOr(typeof recordOf(error)['message'] === 'string', error) &&
  isAbsentOr(Array.isArray(notKept), notKept);

const isAbsentOr = (isRight: boolean, value: unknown): boolean => value === undefined || isRight;

const SHOWN_CHARACTERS_MAX = 80;

/** The error of a job that a worker of another program completed: whether its file exists is unknown. */
export function foreignResult(jobId: string, returned: unknown): WireError {
  const json = returned === undefined ? 'nothing' : JSON.stringify(returned);
  const shown = json.length > SHOWN_CHARACTERS_MAX ? `${json.slice(0, SHOWN_CHARACTERS_MAX)}…` : json;
  const hint =
    'Look for the program that takes jobs from this queue beside the hosts (penstock doctor counts its workers), and verify the file.';
  return {
    name: 'ForeignResultError',
    message: `Job '${escapeControls(jobId)}' was completed by a worker that is no host of Penstock: it returned ${escapeControls(shown)}, which is no result of a write. ${hint}`,
    code: 'EFOREIGNRESULT',
    hint,
    retryable: false,
  };
}
