/** A result as a person reads it. */
import { type WriteResult, escapeControls, formatBytes } from '@penstock/contract';
import { formatMicroseconds, formatRate, formatSeconds } from './figures.ts';

/** One line, and a second one where the write could not go the fast way. `where` is what the file is called. */
export function describeResult(result: WriteResult, where: string): string[] {
  const { total, waiting } = result.durationsMs;
  const { p50, p99, count } = result.writeLatencyUs;
  const parts = [
    `${formatBytes(result.bytes)} in ${formatSeconds(total - waiting)}`,
    formatRate(result.bytesPerSecond),
    `${result.mode} (${result.engine})`,
  ];
  if (count > 0) parts.push(`writes p50 ${formatMicroseconds(p50)}, p99 ${formatMicroseconds(p99)}`);
  const lines = [`${escapeControls(where)}: ${parts.join(', ')}`];
  if (result.fallbackReason !== undefined) lines.push(`not aio-direct: ${result.fallbackReason}`);
  return lines;
}
