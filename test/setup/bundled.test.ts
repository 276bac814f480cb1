// A bundle of another Node: made anew by whom the checkout belongs to, and good enough for everybody else.
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from '@jest/globals';

const bundle = fileURLToPath(new URL('../../config/setup/bundle.mjs', import.meta.url));
const NOBODY = ['--reuid=65534', '--regid=65534', '--clear-groups'];
/** Another user may not get to a checkout in a home directory. */
const ofTwo = spawnSync('setpriv', [...NOBODY, 'test', '-r', bundle]).status === 0 ? test : test.skip;

let root: string;
beforeEach(() => {
  root = mkdtempSync('/var/tmp/penstock-bundled-');
  chmodSync(root, 0o755);
  const folder = join(root, 'apps/cli/dist/bundle');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(root, 'ingredient'), '');
  const madeOf = { ingredient: statSync(join(root, 'ingredient')).mtimeMs };
  writeFileSync(join(folder, 'bundled.json'), JSON.stringify({ madeOf, node: 'v0.1.0', files: [] }));
});
afterEach(() => rmSync(root, { recursive: true }));

ofTwo('a user who cannot write to a checkout that another Node has set up is not refused', () => {
  const program = `import(${JSON.stringify(bundle)}).then(({ isBundled }) => console.log(isBundled(${JSON.stringify(root)})))`;
  const { stdout } = spawnSync('setpriv', [...NOBODY, process.execPath, '-e', program], { encoding: 'utf8' });
  expect(stdout).toBe('true\n');
  expect(spawnSync(process.execPath, ['-e', program], { encoding: 'utf8' }).stdout).toBe('false\n');
});
