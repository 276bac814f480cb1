/** What the documents point to is there: files, sections of files, and the sources that they name. */
import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import { filesBelow } from './rooms.ts';

const repository = fileURLToPath(new URL('../..', import.meta.url));
const files = filesBelow(repository, '.');
const documents = files.filter((file) => file.endsWith('.md') && !file.startsWith('docs/api/'));
const textOf = (file: string): string => readFileSync(join(repository, file), 'utf8');

/** The anchors that a Markdown file has: of its headings, as code hosts make them, and those that it sets itself. */
function anchorsOf(text: string): Set<string> {
  const headings = [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  );
  return new Set([...headings, ...[...text.matchAll(/<a id="([^"]+)"/g)].map(([, id = '']) => id)]);
}

/** Why `target`, as `file` names it, leads nowhere; null if it does not. */
function faultOf(file: string, target: string): string | null {
  const [path = '', anchor] = target.split('#');
  const found = path === '' ? file : join(dirname(file), path);
  if (!existsSync(join(repository, found))) return `${file}: ${target} is not there`;
  if (anchor === undefined || !found.endsWith('.md') || anchorsOf(textOf(found)).has(anchor)) return null;
  return `${file}: ${target} is no section of ${found}`;
}

test('every link of a document leads to a file, and to a section of it', () => {
  const faults = documents.flatMap((file) =>
    [...textOf(file).matchAll(/\]\((?!https?:)([^)\s]+)\)/g)].map(([, target = '']) => faultOf(file, target)),
  );
  expect(documents).toEqual(expect.arrayContaining(['README.md', 'libs/README.md']));
  expect(faults.filter((fault) => fault !== null)).toEqual([]);
});

test('every decision that a source points to stands in libs/README.md', () => {
  const anchors = anchorsOf(textOf('libs/README.md'));
  const pointers = files
    .filter((file) => /\.(?:ts|mjs)$/.test(file))
    .flatMap((file) =>
      [...textOf(file).matchAll(/libs\/README\.md#([\w-]+)/g)].map(([, anchor = '']) => [file, anchor]),
    );
  expect(pointers).not.toEqual([]);
  expect(pointers.filter(([, anchor]) => !anchors.has(anchor!))).toEqual([]);
});

test('every source that the documents of the inside name is there', () => {
  const names = new Set(files.map((file) => basename(file)));
  const inside = documents.filter((file) => file === 'libs/README.md' || file.endsWith('INTERNALS.md'));
  const gone = inside.flatMap((file) =>
    [...textOf(file).matchAll(/(?<![\w*.-])([\w-]+(?:\.(?:long\.)?test)?\.ts)\b/g)]
      .filter(([, name = '']) => !names.has(name))
      .map(([, name]) => `${file}: ${name}`),
  );
  expect(gone).toEqual([]);
});

test('every source of a room is named by the INTERNALS.md that the room has', () => {
  const missing = documents
    .filter((file) => basename(file) === 'INTERNALS.md')
    .flatMap((file) => {
      const text = textOf(file);
      return files
        .filter((source) => source.startsWith(`${dirname(file)}/src/`) && source.endsWith('.ts'))
        .filter((source) => !/\.(?:test|fixture)\.ts$|\/index\.ts$/.test(source))
        .filter((source) => !new RegExp(`(?<![\\w.-])${basename(source).replace('.', '\\.')}(?!\\w)`).test(text))
        .map((source) => `${file}: ${source}`);
    });
  expect(missing).toEqual([]);
});
