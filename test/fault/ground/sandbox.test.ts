// A sandbox that refuses some of the calls of kernel AIO: a write goes the best way that is left, and it is said which.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from '@jest/globals';
import { libaioPort, openEngine } from '@penstock/aio';
import { patternBytes } from '../../support/expected-bytes.ts';
import { has, run } from '../../support/loop-disk.fixture.ts';
import { System, cliEntry } from '../../support/system.ts';

const { EACCES, EIO, ENOSYS, EPERM } = constants.errno;
const seccompFixture = fileURLToPath(new URL('../../support/seccomp.fixture.mjs', import.meta.url));
const cutFileFixture = fileURLToPath(new URL('cut-file.fixture.mjs', import.meta.url));
const openedEngineFixture = fileURLToPath(new URL('opened-engine.fixture.mjs', import.meta.url));

interface Refused {
  call: string;
  errno: number;
}

/** The libaio that set-up found, where it is not under its usual name. */
function libaioFile(): string | undefined {
  const record = fileURLToPath(new URL('../../../.cache/native.json', import.meta.url));
  if (libaioPort() !== null || !existsSync(record)) return undefined;
  return (JSON.parse(readFileSync(record, 'utf8')) as { libaio?: string }).libaio;
}
const libaio = libaioFile();

const preload = (refused: readonly Refused[]): Record<string, string> => ({
  NODE_OPTIONS: `--import=${seccompFixture}`,
  PENSTOCK_TEST_REFUSED: JSON.stringify(refused),
});

interface Told {
  name?: string;
  reason?: string;
  refusal?: unknown;
  trialMs?: number;
  error?: string;
}

function openRefused(refused: readonly Refused[], choice = 'auto', file = libaio): Told {
  const { stdout, stderr } = spawnSync(
    process.execPath,
    [openedEngineFixture, choice, ...(file === undefined ? [] : [file])],
    { encoding: 'utf8', env: { ...process.env, ...preload(refused) } },
  );
  if (stdout === '') throw new Error(stderr);
  return JSON.parse(stdout) as Told;
}

/** Not in a sandbox of our own: there nothing is left to be refused. */
const { engine } = openEngine({ choice: 'auto', depth: 1, libaio });
const hasAio = engine.port.name !== 'positional';
engine.destroy();
function withAio(name: string, check: () => void | Promise<void>, lacks?: string): void {
  const missing = hasAio ? lacks : 'no kernel AIO here';
  const tell = missing === undefined ? test : test.skip;
  tell(missing === undefined ? name : `${name} (skipped: ${missing})`, check);
}

let system: System | undefined;
let home: string | undefined;
afterEach(async () => {
  await system?.close();
  if (home !== undefined) rmSync(home, { recursive: true, force: true });
  [system, home] = [undefined, undefined];
});

withAio('a write is tried before a context is trusted, in no time', () => {
  const told = openRefused([]);
  expect(told).toMatchObject({ refusal: null });
  expect(told.reason).toBeUndefined();
  expect(told.trialMs).toBeLessThan(20); // a millisecond, on a machine with nothing else to do
});

const CALLS = ['io_setup', 'io_submit', 'io_getevents'] as const;
for (const [index, call] of CALLS.entries()) {
  // Another errno for each: they are all alike to what is tried, and each costs a process.
  for (const [code, errno] of Object.entries({ EPERM, ENOSYS, EACCES }).slice(index, index + 1)) {
    withAio(
      `where ${call} is refused with ${code}, plain positional writes are used, and the reason names both`,
      () => {
        const refused = [{ call, errno }];
        // Some builds of libaio wait by this one.
        if (call === 'io_getevents') refused.push({ call: 'io_pgetevents' as typeof call, errno });
        const told = openRefused(refused);
        expect(told.name).toBe('positional');
        expect(told.reason).toContain(`syscalls: ${call} ${code}`);
      },
    );
  }
}

/** A libaio like Debian 13's and Ubuntu 24.04's, which waits by io_pgetevents. */
function buildLibaio(directory: string): string {
  const source = `
    #define _GNU_SOURCE
    #include <unistd.h>
    #include <errno.h>
    #include <sys/syscall.h>
    static int told(long result) { return result < 0 ? -errno : result; }
    int io_setup(int depth, void *out) { return told(syscall(SYS_io_setup, depth, out)); }
    int io_destroy(void *context) { return told(syscall(SYS_io_destroy, context)); }
    int io_submit(void *context, long count, void *iocbs) { return told(syscall(SYS_io_submit, context, count, iocbs)); }
    int io_getevents(void *context, long min, long max, void *events, void *timeout) {
      return told(syscall(SYS_io_pgetevents, context, min, max, events, timeout, 0));
    }`;
  writeFileSync(join(directory, 'libaio.c'), source);
  const file = join(directory, 'libaio.so.1');
  run('cc', '-shared', '-fPIC', '-o', file, join(directory, 'libaio.c'));
  return file;
}

for (const [code, errno] of Object.entries({ EPERM, ENOSYS })) {
  withAio(
    `where the io_pgetevents of newer libaios is refused with ${code}, raw system calls are used`,
    () => {
      home = mkdtempSync(join(tmpdir(), 'penstock-sandbox-'));
      const file = buildLibaio(home);
      expect(openRefused([], 'auto', file)).toMatchObject({ name: 'libaio' });
      const told = openRefused([{ call: 'io_pgetevents', errno }], 'auto', file);
      expect(told.name).toBe('syscalls');
      expect(told.reason).toContain(`libaio: io_getevents ${code}`);
    },
    has('cc') ? undefined : 'no C compiler to build such a libaio with',
  );
}

for (const [code, errno] of Object.entries({ EPERM, ENOSYS })) {
  withAio(`where io_pgetevents alone is refused with ${code}, kernel AIO is used all the same`, () => {
    expect(['libaio', 'syscalls']).toContain(openRefused([{ call: 'io_pgetevents', errno }]).name);
  });
}

withAio('where no file in memory can be made, one below /tmp is tried on', () => {
  expect(openRefused([{ call: 'memfd_create', errno: EPERM }])).toMatchObject({ refusal: null });
  const refused = [
    { call: 'memfd_create', errno: EPERM },
    { call: 'io_submit', errno: EPERM },
  ];
  expect(openRefused(refused).name).toBe('positional');
});

withAio('a way that is asked for by its name is that one or none, and the error names the call', () => {
  expect(openRefused([{ call: 'io_submit', errno: EPERM }], 'syscalls').error).toMatch(
    /^EPERM: .*io_submit.*--engine/s,
  );
});

withAio('a host whose sandbox refuses io_submit writes all the same, and the result says how and why', async () => {
  system = await System.open();
  await system.host(['--threads', '1'], [], preload([{ call: 'io_submit', errno: EPERM }]));
  const source = { kind: 'pattern', pattern: 'stamp', seed: 3 };
  const end = await system.finished(await system.add({ path: 'a', size: 300_001, source, checksum: 'crc32c' }));
  expect(end.failedReason).toBeUndefined();
  expect(readFileSync(system.path('a')).equals(patternBytes('stamp', 3, 300_001))).toBe(true);
  expect(end.returnvalue).toMatchObject({
    engine: 'positional',
    mode: expect.stringMatching(/^sync-/),
    fallbackReason: expect.stringContaining('io_submit EPERM'),
  });
});

withAio('doctor makes the same trial: it names the call that is refused, and how a write goes', () => {
  home = mkdtempSync(join(tmpdir(), 'penstock-sandbox-'));
  const { stdout } = spawnSync(process.execPath, [cliEntry, 'doctor', '--json', '--data', home], {
    encoding: 'utf8',
    env: { ...process.env, ...preload([{ call: 'io_submit', errno: EPERM }]) },
  });
  const { findings } = JSON.parse(stdout) as { findings: { what: string; verdict: string; found: string }[] };
  const finding = (what: string) => findings.find((candidate) => candidate.what === what);
  expect(finding('kernel AIO')).toMatchObject({ verdict: 'warn', found: expect.stringContaining('io_submit EPERM') });
  expect(finding('root data: writing')).toMatchObject({
    verdict: 'warn',
    found: expect.stringMatching(/^sync-.*io_submit EPERM/),
  });
});

test('where the file system of a file that is cut elsewhere cannot be asked, that is the result, and the file is closed', () => {
  const env = { ...process.env, ...preload([{ call: 'fstatfs', errno: EIO }]) };
  const { stdout, stderr } = spawnSync(process.execPath, [cutFileFixture], { encoding: 'utf8', env });
  expect(stderr).toBe('');
  expect(JSON.parse(stdout)).toEqual({ found: true, result: -EIO, isClosed: true });
});
