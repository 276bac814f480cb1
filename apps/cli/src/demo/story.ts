/** The forum's three mistakes, each beside what becomes of it here: in figures of this very run. */
import type { IoError, WriteResult } from '@penstock/contract';
import type { ForumFindings } from './forum.ts';

const hex = (address: number): string => `0x${address.toString(16)}`;

const LINE_WIDTH = 108;

/** What happened, and the first sentence of the advice; the rest is for those who meet it in earnest. */
function firstSentences({ message, hint = '' }: Pick<IoError, 'message' | 'hint'>): string {
  return message.replace(hint, hint.replace(/(?<=[.)]) [A-Z].*$/s, ''));
}

/** Breaks text at spaces; lines after the first begin with `indent` spaces. */
function wrap(text: string, indent: number): string {
  const lines = [''];
  for (const word of text.split(' ')) {
    const line = lines.at(-1) ?? '';
    if (line.length + word.length + indent < LINE_WIDTH)
      lines[lines.length - 1] = line === '' ? word : `${line} ${word}`;
    else lines.push(word);
  }
  return lines.join(`\n${' '.repeat(indent)}`);
}

/** `result` is that of the forum's program as a request. */
export function forumStory(findings: ForumFindings, result: WriteResult): string {
  const { alignment, misaligned, aligned, error } = findings;
  const { res = 0, res2 = 0 } = misaligned.events[0] ?? {};
  const page = 4096;
  const counted = misaligned.events.filter((event) => event.res >= 0).length;
  const left = misaligned.submitted - counted;
  const { rows, rowBytes, ioBytes } = result.matrix;
  const gathered = `${rows} rows of ${rowBytes} bytes in ${result.writes} writes of ${ioBytes}`;
  return [
    'The 2011 program waited for ever. Its three mistakes, made again a moment ago, and what becomes of them here:',
    '',
    '1 The memory was not aligned',
    `  then  rows where calloc put them, ${hex(misaligned.address)}, ${misaligned.address % page} past a page: res = ${res}${res < 0 ? '' : ' (this disk takes them)'}`,
    `  here  rows from a 2 MiB boundary, ${hex(aligned.address)}, each at a multiple of the ${alignment.memory} this file asks for: res = ${aligned.events[0]?.res ?? 0}`,
    '2 It printed res2; the error is in res',
    `  then  res2 = ${res2}, which reads as success`,
    error === null
      ? '  here  a negative res becomes an error that names the call, the errno, the place and the remedy'
      : `  here  ${wrap(firstSentences(error), 8)}`,
    '3 Its counter fell only on success',
    `  then  ${misaligned.submitted} submitted, ${misaligned.events.length} events, ${counted} counted: it waits for ${left} that came long ago`,
    `  here  every event counts, ${misaligned.inFlight} left in flight, and a failed one fails the whole write by name`,
    `        its own request, above: ${gathered}, ${result.shortWrites} short, none left out`,
  ].join('\n');
}
