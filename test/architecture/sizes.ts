/** How large files, folders and classes are, and a reader of the source tree that finds what has outgrown the house. */
import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Lines of a product file. A longer one has two subjects. */
export const FILE_LINES_MAX = 400;
/** Product files side by side in one folder: about a dozen. */
export const FOLDER_FILES_MAX = 14;
/** Private fields of a class. One with more holds the state of two. */
export const CLASS_FIELDS_MAX = 20;

const isProduct = (name: string): boolean => name.endsWith('.ts') && !/\.(?:test|fixture)\.ts$/.test(name);

/** Names of the classes of a formatted source text, each with how many private fields it declares. */
export function privateFieldsIn(source: string): Map<string, number> {
  const counts = new Map<string, number>();
  let name = '';
  for (const line of source.split('\n')) {
    const begun = /^(?:export )?(?:abstract )?class (\w+)/.exec(line);
    if (begun) counts.set((name = begun[1]!), 0);
    // Two spaces: a field or method of the class itself. A method has its bracket before any colon or sign of equality.
    else if (name && /^ {2}(?:static )?(?:readonly )?#\w+[!?]?(?:;|:| =)/.test(line))
      counts.set(name, counts.get(name)! + 1);
    else if (line === '}') name = '';
  }
  return counts;
}

/** Every product file, folder and class below the `src` of `rooms` that is too large, one sentence each. */
export function findOutgrown(root: string, rooms: readonly string[]): string[] {
  const found: string[] = [];
  const folders = new Map<string, number>();
  for (const room of rooms) {
    const sources = join(room, 'src');
    for (const name of readdirSync(join(root, sources), { recursive: true, encoding: 'utf8' }).filter(isProduct)) {
      const file = join(sources, name);
      const text = readFileSync(join(root, file), 'utf8');
      const lines = text.split('\n').length - 1;
      if (lines > FILE_LINES_MAX) found.push(`${file} has ${lines} lines, at most ${FILE_LINES_MAX}`);
      for (const [className, fields] of privateFieldsIn(text))
        if (fields > CLASS_FIELDS_MAX)
          found.push(`${file}: ${className} has ${fields} private fields, at most ${CLASS_FIELDS_MAX}`);
      folders.set(dirname(file), (folders.get(dirname(file)) ?? 0) + 1);
    }
  }
  for (const [folder, count] of folders)
    if (count > FOLDER_FILES_MAX) found.push(`${folder} holds ${count} files, at most ${FOLDER_FILES_MAX}`);
  return found;
}
