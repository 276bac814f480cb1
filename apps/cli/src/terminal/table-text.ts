/** Tables on a terminal, drawn by the package "table". */
import { getBorderCharacters, table } from 'table';
import { ScreenText, screenText } from './screen-text.ts';

/** A line; or several, one below the other. */
export type Cell = string | ScreenText | readonly (string | ScreenText)[];

export interface Column {
  heading: string;
  alignment?: 'left' | 'right';
  /** The most it may take; longer cells are wrapped at spaces. */
  width?: number;
}

/** A table with a heading; with `lines`, also one between each two rows. */
export function drawTable(columns: readonly Column[], rows: readonly (readonly Cell[])[], lines: boolean): ScreenText {
  // It would throw at most of what must not be shown, and pass the rest on.
  const heads = columns.map(({ heading }) => screenText(heading));
  return ScreenText.drawn([heads, ...rows.map((row) => row.map(textOf))], (texts) => draw(columns, texts, lines));
}

const textOf = (cell: Cell): ScreenText =>
  typeof cell === 'string' || ScreenText.is(cell) ? screenText(cell) : ScreenText.joined(cell, '\n');

function draw(columns: readonly Column[], [heads = [], ...rows]: string[][], lines: boolean): string {
  const config = Object.fromEntries(
    columns.map(({ alignment = 'left', width }, index) => {
      if (width === undefined) return [index, { alignment }]; // as wide as its longest line
      const longest = Math.max(1, heads[index]!.length, ...rows.map((row) => longestLine(row[index] ?? '')));
      return [index, { alignment, width: Math.min(width, longest), wrapWord: true }];
    }),
  );
  const text = table([heads, ...rows], {
    border: getBorderCharacters('norc'),
    columns: config,
    drawHorizontalLine: (index, count) => index <= 1 || index === count || lines,
  });
  return text.trimEnd();
}

const longestLine = (cell: string): number => Math.max(...cell.split('\n').map((line) => line.length));
