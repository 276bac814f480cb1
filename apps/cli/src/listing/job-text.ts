/** A job for people: as a row among others, and alone with all that is known of it. */
import { formatBytes, isBulkResult, type WireError } from '@penstock/contract';
import type { JobDetails, JobView } from '@penstock/queue';
import { describeBulk, describeResult } from '../job/result-text.ts';
import { formatRate, formatSeconds, formatTime } from '../terminal/figures.ts';
import type { ScreenText } from '../terminal/screen-text.ts';
import { type Column, drawTable } from '../terminal/table-text.ts';

const COLUMNS: readonly Column[] = [
  { heading: 'job' },
  { heading: 'state' },
  { heading: 'host' },
  { heading: 'file', width: 40 },
  { heading: 'added' },
  { heading: 'how it is', width: 50 },
];

/** In the order of `jobs`. */
export function jobTable(jobs: readonly JobView[]): ScreenText {
  return drawTable(COLUMNS, jobs.map(rowOf), false);
}

function rowOf(job: JobView): string[] {
  return [job.id, job.state, hostOf(job), fileOf(job), formatTime(job.addedAtMs), howItIs(job)];
}

const hostOf = ({ host, target }: JobView): string => host ?? (target === null ? 'any' : `${target} alone`);

function fileOf({ root, path, files }: JobView): string {
  if (path === null) return '-';
  const more = files > 1 ? ` and ${files - 1} more` : '';
  return `${root ?? ''}:${path}${more}`;
}

function howItIs({ state, progress, error, attempts, attemptsMax }: JobView): string {
  if (state === 'failed') return error === null ? 'failed' : withoutHint(error);
  if (progress?.note !== undefined && state !== 'completed') return progress.note;
  if (state === 'active' && progress !== null)
    return `${Math.round(progress.progress)}%, ${formatRate(progress.bytesPerSecond)}, ${progress.phase}`;
  if (attempts > 0 && error !== null) return `attempt ${attempts} of ${attemptsMax} failed: ${withoutHint(error)}`;
  return '';
}

/** What a list has no room for: `penstock show` has it. */
const withoutHint = ({ message, hint }: WireError): string =>
  hint === undefined ? message : message.replace(hint, '').replace(/\.? *$/, '');

/** All that is known of one job, a line for each thing. */
export function describeJob(job: JobDetails): string[] {
  const lines = [`${job.id}: ${job.state}`];
  const line = (what: string, text: string): void => void lines.push(`  ${what.padEnd(9)} ${text}`);
  line('file', fileOf(job));
  line('host', hostOf(job));
  line('added', formatTime(job.addedAtMs));
  if (job.startedAtMs !== null) line('begun', formatTime(job.startedAtMs));
  if (job.endedAtMs !== null) {
    const tookMs = job.endedAtMs - (job.startedAtMs ?? job.addedAtMs);
    line('ended', `${formatTime(job.endedAtMs)}, ${formatSeconds(tookMs)} later`);
  }
  line('attempts', `${job.attempts} of ${job.attemptsMax}`);
  if (job.progress !== null && job.state !== 'completed') {
    const { phase, bytesWritten, totalBytes, bytesPerSecond, note } = job.progress;
    line(
      'progress',
      `${phase}, ${formatBytes(bytesWritten)} of ${formatBytes(totalBytes)}, ${formatRate(bytesPerSecond)}`,
    );
    if (note !== undefined) line('note', note);
  }
  if (job.result !== null) {
    const texts = isBulkResult(job.result) ? describeBulk(job.result) : describeResult(job.result, job.result.path);
    texts.forEach((text, index) => line(index === 0 ? 'result' : '', text));
  }
  if (job.error !== null) {
    line('error', `${job.error.message} (${job.error.code})`);
    const { hint } = job.error;
    if (hint !== undefined && !job.error.message.includes(hint)) line('hint', hint);
  }
  job.logs.forEach((text, index) => line(index === 0 ? 'log' : '', text));
  line('request', JSON.stringify(job.request));
  return lines;
}
