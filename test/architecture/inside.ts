/** The order inside a room: each of its folders imports only those below it, and no files import one another in a circle. */
import { dirname, join, relative } from 'node:path';

/** The files that each file of a room imports, as paths relative to the room. */
export type ImportGraph = ReadonlyMap<string, readonly string[]>;

/** Tests and fixtures may import any folder of their room: nothing of the program imports them. */
const isTest = (file: string): boolean => /\.(?:test|fixture)\.ts$/.test(file);

/** The sources that stand in no folder, but for those that the order names by themselves. */
const BESIDE_FOLDERS = '.';

/** The entry of `order` that the source `file` belongs to: its own name, or its folder. */
function levelOf(file: string, order: readonly string[]): string {
  const inSource = relative('src', file);
  return order.includes(inSource) ? inSource : dirname(inSource);
}

/** How far up `level` is in `order`; -1 if it is not part of it. What is named nowhere but stands in no folder is on top. */
function heightOf(level: string, order: readonly string[]): number {
  const height = order.indexOf(level);
  return height < 0 && level === BESIDE_FOLDERS ? order.length : height;
}

const named = (level: string): string => (level === BESIDE_FOLDERS ? 'what stands beside the folders' : level);

/** Imports against `order`, from bottom to top, and folders that it does not name; one sentence each, naming the file. */
export function findAgainstOrder(imports: ImportGraph, order: readonly string[]): string[] {
  const found = new Set<string>();
  for (const [file, targets] of imports) {
    if (!file.startsWith('src/')) continue;
    const level = levelOf(file, order);
    const height = heightOf(level, order);
    if (height < 0) found.add(`${file} is in the folder ${level}, which is not in the order of the room's folders`);
    if (height < 0 || isTest(file)) continue;
    for (const target of targets) {
      if (!target.startsWith('src/')) continue;
      const other = levelOf(target, order);
      if (other !== level && heightOf(other, order) > height)
        found.add(
          `${file} imports ${target}: ${named(level)} is below ${named(other)} in the order of the room's folders`,
        );
    }
  }
  return [...found];
}

/** Each circle of files that a walk along `imports` comes across, as the path of one round; none if there is no circle. */
export function findCircles(imports: ImportGraph): string[] {
  const found: string[] = [];
  const done = new Set<string>();
  const path: string[] = [];
  function walk(file: string): void {
    const start = path.indexOf(file);
    if (start >= 0) found.push([...path.slice(start), file].join(' > '));
    if (start >= 0 || done.has(file)) return;
    path.push(file);
    for (const target of imports.get(file) ?? []) walk(target);
    path.pop();
    done.add(file);
  }
  for (const file of imports.keys()) walk(file);
  return found;
}

/** The relative ones of a file's import specifiers, as paths relative to the room; `file` is relative to it, too. */
export const importedFiles = (file: string, specifiers: readonly string[]): string[] =>
  specifiers.filter((specifier) => specifier.startsWith('.')).map((specifier) => join(dirname(file), specifier));
