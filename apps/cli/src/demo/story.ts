/** The forum's three mistakes, each beside what becomes of it here: in figures of this very run. */
import type { WriteResult } from '@penstock/contract';
import type { ForumFindings } from './forum.ts';

const hex = (address: number): string => `0x${address.toString(16)}`;

/** `result` is that of the forum's program as a request. */
export function tellForumStory(findings: ForumFindings, result: WriteResult): string {
  const { alignment, misaligned, aligned, message } = findings;
  const { res = 0, res2 = 0 } = misaligned.events[0] ?? {};
  const past = misaligned.address % Math.max(512, alignment.memory);
  const counted = misaligned.events.filter((event) => event.res >= 0).length;
  const refused = message !== null;
  const writes = `${result.writes} writes of ${result.matrix.ioBytes} bytes in ${result.submitCalls} batches`;
  return [
    'The 2011 program waited for ever. Its three mistakes, made again here a moment ago, and what Penstock does:',
    '',
    '1 Unaligned memory',
    `  then  rows where malloc put them: ${hex(misaligned.address)}, ${past} bytes past a boundary -> res = ${res}${refused ? '' : ' (this disk takes it)'}`,
    `  here  rows from a 2 MiB boundary, ${hex(aligned.address)}, kept to the ${alignment.memory} bytes this file asks for -> res = ${aligned.events[0]?.res ?? 0}`,
    '2 The error is in res, and res2 was printed',
    `  then  res2 = ${res2}: "fine"`,
    refused
      ? `  here  ${message}`
      : '  here  a negative res becomes an error that names call, errno, path, offset, length and remedy',
    '3 The counter fell only on success',
    `  then  ${misaligned.submitted} submitted, ${misaligned.events.length} events, ${counted} counted: ${misaligned.submitted - counted} awaited for ever`,
    `  here  every event is accounted, ${misaligned.inFlight} left in flight; a failed row fails the write, by name`,
    `        its request above (${result.matrix.rows} rows of ${result.matrix.rowBytes} bytes): ${writes}, ${result.shortWrites} short, ${result.retries} retried, all accounted`,
  ].join('\n');
}
