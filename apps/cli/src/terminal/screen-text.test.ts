import { expect, test } from '@jest/globals';
import { printableJson } from '@penstock/contract';
import * as fc from 'fast-check';
import { ScreenText, screenText } from './screen-text.ts';
import { drawTable } from './table-text.ts';

const SEED = 20_261_128;
/** Clears the screen, sets the title, C1's CSI, turns the line round, hides what follows, and ends the line. */
const HOSTILE = 'a\u001B[2J\u001B]0;x\u0007\u009B1m\u202E\u2066\u200B\u007F\r\nok │ fine';
const SHOWN = String.raw`a\u{1b}[2J\u{1b}]0;x\u{7}\u{9b}1m\u{202e}\u{2066}\u{200b}\u{7f}\r\nok │ fine`;
const OBEYED = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;

test('a text of others is one line, and says what it would have done', () => {
  expect(screenText(HOSTILE).text).toBe(SHOWN);
});

test('lines after the first are indented: none passes for a line of ours', () => {
  expect(ScreenText.lines('penstock: failed\npenstock: all is well', '  ').text).toBe(
    'penstock: failed\n  penstock: all is well',
  );
});

test('what is painted is escaped first', () => {
  expect(ScreenText.painted('red', 'a\u001B[0m', true).text).toBe('\u001B[31ma\\u{1b}[0m\u001B[39m');
  expect(ScreenText.painted('red', 'a', false).text).toBe('a');
});

test('a cell of a table cannot make a row, nor end the program', () => {
  const drawn = drawTable([{ heading: 'what' }, { heading: 'found' }], [[HOSTILE, ['one', '-> two']]], false).text;
  const lines = drawn.split('\n');
  expect(lines).toHaveLength(6);
  expect(lines[3]).toContain(SHOWN);
  for (const line of lines) expect(line).not.toMatch(OBEYED);
});

test(`JSON stays the value it was, and holds nothing that a terminal obeys (seed ${SEED})`, () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.string({ unit: 'binary' }), (value, text) => {
      const json = printableJson({ value, [text]: text });
      expect(json).not.toMatch(OBEYED);
      expect(JSON.parse(json)).toEqual(JSON.parse(JSON.stringify({ value, [text]: text })));
    }),
    { seed: SEED, numRuns: 200 },
  );
  expect(JSON.parse(printableJson(HOSTILE))).toBe(HOSTILE);
  expect(printableJson('\u{E0001}\u007F')).toBe(String.raw`"\udb40\udc01\u007f"`);
});
