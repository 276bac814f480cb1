/** Tables on a terminal, drawn by the package "table". */
import { getBorderCharacters, table } from 'table';

export interface Column {
  heading: string;
  alignment?: 'left' | 'right';
  /** The most it may take; longer cells are wrapped at spaces. */
  width?: number;
}

/** A table with a heading; with `lines`, also one between each two rows. */
export function drawTable(columns: readonly Column[], rows: readonly (readonly string[])[], lines: boolean): string {
  const config = Object.fromEntries(
    columns.map(({ alignment = 'left', width }, index) => {
      if (width === undefined) return [index, { alignment }]; // as wide as its longest line
      const longest = Math.max(1, ...rows.map((row) => longestLine(row[index] ?? '')));
      return [index, { alignment, width: Math.min(width, longest), wrapWord: true }];
    }),
  );
  const text = table([columns.map(({ heading }) => heading), ...rows.map((row) => [...row])], {
    border: getBorderCharacters('norc'),
    columns: config,
    drawHorizontalLine: (index, count) => index <= 1 || index === count || lines,
  });
  return text.trimEnd();
}

const longestLine = (cell: string): number => Math.max(...cell.split('\n').map((line) => line.length));
