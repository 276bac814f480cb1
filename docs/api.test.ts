// The API documentation is what the docstrings say, and they say something of everything.
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

let fresh: string;
beforeAll(async () => {
  const scratch = at('../.cache/scratch');
  mkdirSync(scratch, { recursive: true });
  fresh = mkdtempSync(join(scratch, 'api-'));
  const args = [at('node_modules/typedoc/bin/typedoc'), '--options', at('typedoc.json'), '--out', fresh];
  // It fails where a docstring is missing, or names what is not there.
  await promisify(execFile)(process.execPath, args, { cwd: at('..') });
}, 120_000);
afterAll(() => rmSync(fresh, { recursive: true }));

test('docs/api is what the docstrings say now (npm run docs makes it so)', () => {
  const names = readdirSync(fresh, { recursive: true, encoding: 'utf8' }).toSorted();
  expect(readdirSync(at('api'), { recursive: true, encoding: 'utf8' }).toSorted()).toEqual(names);
  for (const name of names)
    expect(readFileSync(join(at('api'), name), 'utf8')).toBe(readFileSync(join(fresh, name), 'utf8'));
});

test('everything that the package exports is described', () => {
  const [, ...sections] = readFileSync(join(fresh, 'README.md'), 'utf8').split(/^### /m);
  expect(sections.length).toBeGreaterThan(60);
  const undescribed = sections.filter((section) => {
    // Headings, signatures, members and rules apart, nothing is left.
    const own = section.split(/^#{4,} (?!Call Signature)/m)[0]!.replaceAll(/^(?:> .*|\*{3}|#.*)$/gm, '');
    return own.split('\n').slice(1).join('').trim() === '';
  });
  expect(undescribed.map((section) => section.split('\n')[0])).toEqual([]);
});
