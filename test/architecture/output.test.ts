/** Whatever is said to a terminal or a log goes through the files that escape it. */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';

const repository = fileURLToPath(new URL('../..', import.meta.url));

/** The files that write to standard output and standard error. */
const DOORS = ['apps/cli/src/terminal/output.ts', 'config/src/process/log.ts'];
/** Reaching a standard stream: by name, by its descriptor, or as a child's that is not read first. */
const AROUND =
  /\bprocess\s*\??\.?\s*(?:\[\s*)?['"]?(?:stdout|stderr)\b|\bconsole\s*\.|\b(?:stdout|stderr)\b[^;]*\bfrom 'node:process'|\b(?:writeSync|write|createWriteStream)\((?:1|2)\s*,|\/dev\/(?:stdout|stderr|tty)|emitWarning/;

function sourcesOf(room: string): string[] {
  return readdirSync(join(repository, room), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !/\.(?:test|fixture)\.ts$/.test(name))
    .map((name) => join(room, name));
}

const rooms = ['apps', 'libs', 'workers'].flatMap((group) =>
  readdirSync(join(repository, group), { withFileTypes: true })
    .map(({ name }) => `${group}/${name}/src`)
    .filter((sources) => existsSync(join(repository, sources))),
);

test('nothing is printed but through the files that escape what others wrote', () => {
  const files = [...rooms, 'config/src'].flatMap(sourcesOf);
  expect(files).toEqual(expect.arrayContaining(DOORS));
  const printing = files.filter((file) => AROUND.test(readFileSync(join(repository, file), 'utf8')));
  expect(printing.toSorted()).toEqual(DOORS);
});

test.each([
  'process.stdout.write(text)',
  "process['stderr'].write(text)",
  'console.log(text)',
  "import { stderr } from 'node:process';",
  'writeSync(2, text)',
])('%s would be found', (source) => {
  expect(AROUND.test(source)).toBe(true);
});
