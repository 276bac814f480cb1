/** What somebody who misspelt a field most likely meant. */

/** The field a misspelt one most likely stands for: the nearest, within a third of its letters. */
export function nearestField(key: string, known: readonly string[]): string | undefined {
  if (key.length > 24) return undefined;
  const letters = bareName(key);
  let nearest: string | undefined;
  let nearestDistance = Math.max(1, Math.floor(letters.length / 3)) + 1;
  for (const name of known) {
    const distance = editDistance(letters, bareName(name));
    if (distance < nearestDistance) {
      nearest = name;
      nearestDistance = distance;
    }
  }
  return nearest;
}

/** 'row_bytes', 'row-bytes' and 'RowBytes' differ from 'rowBytes' in manner only. */
function bareName(name: string): string {
  return name.toLowerCase().replaceAll(/[_\s-]/g, '');
}

/** Levenshtein's distance: letters to insert, delete or replace. */
function editDistance(from: string, to: string): number {
  let previous = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let row = 1; row <= from.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= to.length; column += 1) {
      const replaced = (previous[column - 1] ?? 0) + (from[row - 1] === to[column - 1] ? 0 : 1);
      current.push(Math.min(replaced, (previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[to.length] ?? 0;
}
