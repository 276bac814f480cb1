// The lint fails on what is dead: tried with this repository's settings in a made-up one of two packages.
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from '@jest/globals';

const repository = fileURLToPath(new URL('../..', import.meta.url));

let root: string;
beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'lint-')));
  for (const name of ['knip.jsonc', '.oxlintrc.json']) copyFileSync(join(repository, name), join(root, name));
  write('package.json', JSON.stringify({ name: 'made-up', type: 'module', workspaces: ['libs/*'] }));
  writeManifest('one', []);
  write('libs/one/src/index.ts', `export { used } from './used.ts';`);
  write('libs/one/src/used.ts', `export const used = 1;`);
  writeManifest('two', ['one']);
  write('libs/two/src/index.ts', `import { used } from 'one';\nprocess.exitCode = used;`);
  mkdirSync(join(root, 'node_modules'));
  for (const name of ['one', 'two']) symlinkSync(`../libs/${name}`, join(root, 'node_modules', name));
});
afterEach(() => rmSync(root, { recursive: true }));

function write(file: string, text: string): void {
  mkdirSync(dirname(join(root, file)), { recursive: true });
  writeFileSync(join(root, file), `${text}\n`);
}

function writeManifest(name: string, dependencies: readonly string[]): void {
  const versions = Object.fromEntries(dependencies.map((dependency) => [dependency, '*']));
  const manifest = { name, type: 'module', exports: './src/index.ts', dependencies: versions };
  write(`libs/${name}/package.json`, JSON.stringify(manifest));
}

function runKnip(): { status: number | null; stdout: string } {
  const program = join(repository, 'node_modules/knip/bin/knip.js');
  // Of its settings only a part concerns the made-up repository; the hints are about the rest.
  const args = [program, '--no-config-hints', '--reporter', 'compact'];
  return spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8' });
}

test('what is used is no finding', () => {
  expect(runKnip()).toMatchObject({ status: 0, stdout: '' });
});

test('dead exports, also of a package, dead files, unused and unnamed dependencies are findings', () => {
  write('libs/one/src/used.ts', `export const used = 1;\nexport const deadInside = 2;\nexport const deadOutside = 3;`);
  write('libs/one/src/index.ts', `export { deadOutside, used } from './used.ts';`);
  write('libs/one/src/dead-file.ts', `export {};`);
  writeManifest('two', ['one', 'unused']);
  write('libs/two/src/index.ts', `import { used } from 'one';\nimport 'unnamed';\nprocess.exitCode = used;`);
  const { status, stdout } = runKnip();
  expect(status).toBe(1);
  expect(stdout.trimEnd().split('\n')).toEqual([
    'Unused files (1)',
    'libs/one/src/dead-file.ts: libs/one/src/dead-file.ts',
    'Unused dependencies (1)',
    'libs/two/package.json: unused',
    'Unlisted dependencies (1)',
    'libs/two/src/index.ts: unnamed',
    'Unused exports (2)',
    'libs/one/src/index.ts: deadOutside',
    'libs/one/src/used.ts: deadInside, deadOutside',
  ]);
});

test('a lint directive that nothing needs is a finding', () => {
  write('libs/one/src/used.ts', `export const used = 1; // oxlint-disable-line no-debugger`);
  const program = join(repository, 'node_modules/.bin/oxlint');
  const env = { ...process.env, OXLINT_TSGOLINT_PATH: join(repository, 'node_modules/.bin/tsgolint') };
  const { status, stdout } = spawnSync(program, ['--format', 'unix'], { cwd: root, encoding: 'utf8', env });
  expect(status).toBe(1);
  expect(stdout).toContain('libs/one/src/used.ts:1:');
  expect(stdout).toContain('Unused oxlint-disable directive');
});
