import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Checkout, ended, said } from './checkout.fixture.ts';

let checkout: Checkout;

beforeEach(() => {
  checkout = new Checkout();
});

afterEach(() => checkout.close());

test('set-up installs, compiles and bundles once, and says nothing when all is current', async () => {
  const first = await checkout.run('setup.mjs', ['--build']);
  expect(first).toMatchObject({ code: 0, stdout: '' });
  expect(first.stderr).toContain('npm ci');
  const second = await checkout.run('setup.mjs', ['--build']);
  expect(second).toEqual({ code: 0, stdout: '', stderr: '' });
  expect([checkout.runs('npm'), checkout.runs('tsc'), checkout.runs('rolldown')]).toEqual([1, 1, 1]);
});

test('what was compiled by hand is bundled, without being compiled again', async () => {
  await checkout.run('setup.mjs', ['--build']);
  checkout.remove('libs/one/dist/.tsbuildinfo');
  checkout.write('libs/one/dist/.tsbuildinfo', 'of another run');
  await checkout.run('setup.mjs', ['--build']);
  expect([checkout.runs('tsc'), checkout.runs('rolldown')]).toEqual([1, 2]);
});

test('what another Node bundled is bundled anew, as what it compiled is of no use', async () => {
  await checkout.run('setup.mjs', ['--build']);
  const record = 'apps/cli/dist/bundle/bundled.json';
  const bundled = JSON.parse(readFileSync(join(checkout.root, record), 'utf8'));
  expect(bundled.node).toBe(process.version);
  checkout.write(record, { ...bundled, node: 'v20.19.0' });
  await checkout.run('setup.mjs', ['--build']);
  expect([checkout.runs('tsc'), checkout.runs('rolldown')]).toEqual([1, 2]);
});

test('a package that was removed is installed again', async () => {
  await checkout.run('setup.mjs');
  checkout.remove('node_modules/left/package.json');
  const { stderr } = await checkout.run('setup.mjs');
  expect(stderr).toContain('node_modules/left is incomplete');
  expect(checkout.runs('npm')).toBe(2);
});

test('a lock file that asks for another version is installed', async () => {
  await checkout.run('setup.mjs');
  checkout.write('package-lock.json', { packages: { 'node_modules/left': { version: '2.0.0' } } });
  const { code, stderr } = await checkout.run('setup.mjs');
  expect(stderr).toContain('node_modules/left is 1.0.0, not 2.0.0 of the lock file');
  // The made-up npm installs 1.0.0 whatever is asked for, which is not taken for success.
  expect(code).toBe(1);
});

test('a source that changed is compiled, and so is a project whose output was removed', async () => {
  await checkout.run('setup.mjs', ['--build']);
  checkout.write('libs/one/src/index.ts', 'export const one = 1;');
  await checkout.run('setup.mjs', ['--build']);
  expect(checkout.runs('tsc')).toBe(2);
  checkout.remove('libs/one/dist');
  await checkout.run('setup.mjs', ['--build']);
  expect(checkout.runs('tsc')).toBe(3);
});

test('two set-ups at once install once', async () => {
  checkout.closeGate();
  const first = checkout.start('setup.mjs', ['--build']);
  const firstEnds = ended(first);
  await said(first, 'npm works');
  const second = checkout.start('setup.mjs', ['--build']);
  const secondEnds = ended(second);
  await said(second, 'waiting for another set-up');
  checkout.openGate();
  expect((await firstEnds).code).toBe(0);
  expect((await secondEnds).code).toBe(0);
  expect([checkout.runs('npm'), checkout.runs('tsc')]).toEqual([1, 1]);
});

test('after a set-up that was killed in the middle, the next one waits for what it left running', async () => {
  checkout.closeGate();
  const killed = checkout.start('setup.mjs', []);
  await said(killed, 'npm works');
  killed.kill('SIGKILL');
  await once(killed, 'exit');
  const next = checkout.start('setup.mjs', []);
  const nextEnds = ended(next);
  await said(next, 'waiting for another set-up');
  checkout.openGate();
  expect((await nextEnds).code).toBe(0);
  expect(checkout.runs('npm')).toBe(1);
});

test('packages that an npm ci left half installed are installed again', async () => {
  await checkout.run('setup.mjs');
  checkout.program('npm', 'rm "$ROOT/node_modules/left/package.json"; kill -9 $$');
  checkout.write('node_modules/left/package.json', '');
  checkout.write('package-lock.json', { packages: { 'node_modules/left': { version: '3.0.0' } } });
  expect(await checkout.run('setup.mjs')).toMatchObject({ code: 1, stderr: expect.stringContaining('SIGKILL') });
  checkout.write('package-lock.json', { packages: { 'node_modules/left': { version: '1.0.0' } } });
  expect((await checkout.run('setup.mjs')).stderr).toContain('not to the end');
});

test('a Redis that is too old is refused by its version, with the command that installs one', async () => {
  const old = checkout.program('old-redis', 'echo "Redis server v=5.0.7 sha=0"');
  const { code, stderr } = await checkout.run('setup.mjs', [], { REDIS_SERVER: old });
  expect(code).toBe(1);
  expect(stderr).toContain(`${old}: it is 5.0.7, and 6.2 or newer is needed; to have it: `);
});

test('a Redis that cannot run is passed over, and the next one on PATH is tried', async () => {
  checkout.program('redis-server', 'echo "libjemalloc.so.2: cannot open shared object file" >&2; exit 127');
  const valkey = checkout.program('valkey-server', 'echo "Valkey server v=8.0.1 sha=0"');
  const { code } = await checkout.run('setup.mjs', [], { PATH: `${join(checkout.root, 'bin')}:/bin` });
  const record = JSON.parse(readFileSync(join(checkout.root, '.cache/native.json'), 'utf8'));
  expect(code).toBe(0);
  expect(record.redis.bin).not.toBe(join(checkout.root, 'bin/redis-server'));
  expect([valkey, '/bin/redis-server', '/usr/bin/redis-server']).toContain(record.redis.bin);
});

test.each([
  ['debian 12', 'ID=debian\nVERSION_ID="12"', 'sudo apt-get install redis-server', 'sudo apt-get install chromium'],
  [
    'ubuntu',
    'NAME="Ubuntu"\nID=ubuntu\nID_LIKE=debian',
    'sudo apt-get install redis-server',
    'sudo snap install chromium',
  ],
  [
    'a child of debian',
    'ID=linuxmint\nID_LIKE="ubuntu debian"',
    'sudo apt-get install redis-server',
    'sudo snap install chromium',
  ],
  ['rocky', 'ID="rocky"\nID_LIKE="rhel centos fedora"', 'sudo dnf install valkey', 'sudo dnf install chromium'],
  ['arch', 'ID=arch', 'sudo pacman -S valkey', 'sudo pacman -S chromium'],
  ['alpine', 'ID=alpine', 'sudo apk add valkey', 'sudo apk add chromium'],
  [
    'opensuse',
    'ID="opensuse-leap"\nID_LIKE="suse opensuse"',
    'sudo zypper install redis',
    'sudo zypper install chromium',
  ],
  [
    'unknown',
    'NAME="Own Linux"\nID=own',
    'install redis with the package manager of Own Linux',
    'install chromium with the package manager of Own Linux',
  ],
])('on %s what is missing comes with its command', async (_, osRelease, redis, chromium) => {
  const { installCommand } = await import(new URL('../../config/setup/distribution.mjs', import.meta.url).href);
  expect([installCommand('redis', osRelease), installCommand('chromium', osRelease)]).toEqual([redis, chromium]);
});
