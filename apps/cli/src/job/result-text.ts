/** A result as a person reads it. */
import { type BulkResult, type WriteResult, formatBytes } from '@penstock/contract';
import { formatMicroseconds, formatRate, formatSeconds } from '../terminal/figures.ts';

/** One line, and one more for each way of writing that was not possible. `where` is the name of the file. */
export function describeResult(result: WriteResult, where: string): string[] {
  const { total, waiting } = result.durationsMs;
  const { p50, p99, count } = result.writeLatencyUs;
  const parts = [`${formatBytes(result.bytes)} in ${formatSeconds(total - waiting)}`];
  // Nothing was written: there was no speed and no mode.
  if (result.copied === 'reflink') parts.push('a reflink: it shares the blocks of its source');
  else parts.push(formatRate(result.bytesPerSecond), `${result.mode} (${result.engine})`);
  if (result.holeBytes !== undefined && result.holeBytes > 0)
    parts.push(`${formatBytes(result.holeBytes)} of it holes`);
  if (result.resumedFrom !== undefined) parts.push(`${formatBytes(result.resumedFrom)} of it by an earlier attempt`);
  if (count > 0) parts.push(`writes p50 ${formatMicroseconds(p50)}, p99 ${formatMicroseconds(p99)}`);
  const lines = [`${where}: ${parts.join(', ')}`];
  if (result.notKept !== undefined) lines.push(describeNotKept(result.notKept));
  if (result.checksum !== undefined) lines.push(`${result.checksum.algorithm} ${result.checksum.value}`);
  if (result.verified !== undefined)
    lines.push(`read back in ${formatSeconds(result.durationsMs.verifying)}: what is on the disk is what was written`);
  if (result.noDirectReadbackReason !== undefined) lines.push(`no direct readback: ${result.noDirectReadbackReason}`);
  if (result.noReflinkReason !== undefined) lines.push(`no reflink: ${result.noReflinkReason}`);
  if (result.fallbackReason !== undefined && result.copied !== 'reflink')
    lines.push(`${result.mode === 'aio-direct' ? 'aio-direct, but' : 'not aio-direct'}: ${result.fallbackReason}`);
  return lines;
}

const describeNotKept = (notKept: readonly string[]): string =>
  `not kept of the file that stood there: ${notKept.join(', ')}`;

const FAILURES_SHOWN_MAX = 10;
const NOT_KEPT_SHOWN_MAX = 10;

/** One line for all files, and one for each of the first that failed. */
export function describeBulk(result: BulkResult): string[] {
  const written = result.files - result.failed;
  const modes = Object.keys(result.modes).join(' and ');
  const parts = [
    `${formatBytes(result.bytes)} in ${formatSeconds(result.durationsMs.total)}`,
    `${Math.round(result.filesPerSecond)} files/s`,
  ];
  if (modes !== '') parts.push(`${modes} (${result.engine})`);
  const lines = [`${written} of ${result.files} files written: ${parts.join(', ')}`];
  if (result.fallbackReason !== undefined) lines.push(`not aio-direct: ${result.fallbackReason}`);
  const changed = result.items.flatMap((item) =>
    'notKept' in item && item.notKept !== undefined ? [{ path: item.path, notKept: item.notKept }] : [],
  );
  for (const { path, notKept } of changed.slice(0, NOT_KEPT_SHOWN_MAX)) {
    lines.push(`${path}: ${describeNotKept(notKept)}`);
  }
  if (changed.length > NOT_KEPT_SHOWN_MAX) {
    lines.push(`and of ${changed.length - NOT_KEPT_SHOWN_MAX} more files: --json lists them all`);
  }
  const failures = result.items.filter((item) => 'error' in item);
  for (const { path, error } of failures.slice(0, FAILURES_SHOWN_MAX)) {
    lines.push(`failed: ${path}: ${error.message}`);
  }
  if (failures.length > FAILURES_SHOWN_MAX) {
    lines.push(`and ${failures.length - FAILURES_SHOWN_MAX} more failed: --json lists them all`);
  }
  return lines;
}
