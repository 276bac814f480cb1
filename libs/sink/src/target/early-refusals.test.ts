// What the kernel would refuse only when all bytes are written is refused before the first; and appends to append-only files.
import { execFileSync, spawnSync } from 'node:child_process';
import { appendFileSync, chmodSync, chownSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { WriteRequestInput } from '@penstock/contract';
import { createPatternSource, readSource } from '@penstock/sources';
import { type Bench, openBench } from '../thread/thread.fixture.ts';

const isRoot = process.getuid?.() === 0;
const MIB = 1_048_576;
const SOURCE = { kind: 'pattern', pattern: 'stamp', seed: 5 } as const;
const OTHER_USER = 65_534;

let bench: Bench;
let undo: (() => void)[] = [];

beforeEach(() => {
  bench = openBench();
});

afterEach(async () => {
  for (const step of undo.toReversed()) step();
  undo = [];
  await bench.end();
});

const at = (name: string): string => join(bench.directory, name);
const run = (program: string, ...args: string[]): string =>
  execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
const bytes = (size: number): Uint8Array => readSource(createPatternSource('stamp', 5), 0, size);

function setFlag(flag: 'i' | 'a', name: string): void {
  run('chattr', `+${flag}`, at(name));
  undo.push(() => run('chattr', `-${flag}`, at(name)));
}

/** Whether this process may do what `attempt` tries with a file of one mebibyte on the checkout's disk, and `undoIt` undoes. */
function can(attempt: (file: string) => string[][], undoIt: (file: string) => string[]): boolean {
  if (!isRoot) return false;
  const probe = openBench();
  const file = join(probe.directory, 'probe');
  const succeeds = ([program, ...args]: string[]): boolean => spawnSync(program!, args).status === 0;
  try {
    writeFileSync(file, Buffer.alloc(MIB), { mode: 0o600 });
    return attempt(file).every(succeeds) && succeeds(undoIt(file));
  } finally {
    probe.close();
  }
}
const asRoot = isRoot ? test : test.skip;
const when = (possible: boolean): typeof test | typeof test.skip => (possible ? test : test.skip);
const withFlags = when(
  can(
    (file) => [['chattr', '+a', file]],
    (file) => ['chattr', '-a', file],
  ),
);
const withMounts = when(
  can(
    (file) => [['mount', '--bind', file, file]],
    (file) => ['umount', file],
  ),
);
const withSwap = when(
  can(
    (file) => [
      ['mkswap', file],
      ['swapon', file],
    ],
    (file) => ['swapoff', file],
  ),
);

/** Nothing was handed to the kernel, and no part stays. */
async function expectEarly(request: WriteRequestInput, what: object): Promise<void> {
  const before = bench.names();
  await expect(bench.write(request)).rejects.toMatchObject(what);
  expect(bench.engine.submitCalls).toBe(0);
  expect(bench.names()).toEqual(before);
}

const replace = (path: string): WriteRequestInput => ({ path, size: 2 * MIB, source: SOURCE });

withFlags('an immutable file is not replaced, and that is said before the first byte', async () => {
  writeFileSync(at('a'), 'old');
  setFlag('i', 'a');
  await expectEarly(replace('a'), {
    code: 'EPERM',
    syscall: 'renameat',
    hint: expect.stringMatching(/immutable.*lsattr/),
  });
  expect(readFileSync(at('a'), 'utf8')).toBe('old');
});

withFlags('an append-only file is not replaced, and the refusal names what works', async () => {
  writeFileSync(at('a'), 'old');
  setFlag('a', 'a');
  await expectEarly(replace('a'), { code: 'EPERM', hint: expect.stringContaining('mode "append"') });
});

withFlags('an append-only directory collects no part, and a write in place works there', async () => {
  mkdirSync(at('log'));
  setFlag('a', 'log');
  for (const attempt of [0, 1]) {
    await expectEarly(replace(`log/a${attempt}`), {
      code: 'EPERM',
      hint: expect.stringMatching(/append-only.*in-place/),
    });
  }
  await expectEarly({ ...replace('log/b'), mode: 'create', publish: 'in-place' }, { code: 'EPERM' });
  expect(readdirSync(at('log'))).toEqual([]);
  await bench.write({ ...replace('log/c'), publish: 'in-place' });
  expect(readdirSync(at('log'))).toEqual(['c']);
  expect(Buffer.compare(readFileSync(at('log/c')), bytes(2 * MIB))).toBe(0);
});

withMounts('a file that something is mounted over is not replaced; in place it is written', async () => {
  writeFileSync(at('below'), 'below');
  writeFileSync(at('over'), 'over');
  run('mount', '--bind', at('over'), at('below'));
  undo.push(() => run('umount', at('below')));
  await expectEarly(replace('below'), {
    code: 'EBUSY',
    syscall: 'renameat',
    hint: expect.stringContaining('"in-place"'),
  });
  await bench.write({ ...replace('below'), publish: 'in-place' });
  expect(Buffer.compare(readFileSync(at('over')), bytes(2 * MIB))).toBe(0);
});

withSwap('a swap file in use is refused as what it is, and not as a running program', async () => {
  writeFileSync(at('swap file'), Buffer.alloc(MIB));
  chmodSync(at('swap file'), 0o600);
  run('mkswap', at('swap file'));
  run('swapon', at('swap file'));
  undo.push(() => run('swapoff', at('swap file')));
  for (const publish of ['atomic', 'in-place'] as const) {
    const what = { code: 'ETXTBSY', hint: expect.stringMatching(/swap file in use.*swapoff/) };
    await expectEarly({ ...replace('swap file'), publish }, what);
  }
});

asRoot(
  'in a sticky directory the file of another user is not replaced, and that is said before the first byte',
  async () => {
    bench.close();
    bench = openBench({ forAllUsers: true });
    chmodSync(bench.directory, 0o1777);
    writeFileSync(at('a'), 'old');
    chownSync(at('a'), 1, 1);
    process.seteuid!(OTHER_USER);
    try {
      const what = { code: 'EPERM', hint: expect.stringMatching(/sticky.*user 1/) };
      await expect(bench.write(replace('a'))).rejects.toMatchObject(what);
      expect(bench.engine.submitCalls).toBe(0);
      await bench.write(replace('own'));
      await bench.write(replace('own'));
    } finally {
      process.seteuid!(0);
    }
    expect(bench.names()).toEqual(['a', 'own']);
    await bench.write(replace('a')); // as root it may
    expect(Buffer.compare(readFileSync(at('a')), bytes(2 * MIB))).toBe(0);
  },
);

withFlags('an append to an append-only file goes behind its end, whatever the rows and the source', async () => {
  writeFileSync(join(bench.archive, 'in'), bytes(3 * MIB + 5));
  writeFileSync(at('log'), 'begin ');
  setFlag('a', 'log');
  const parts: Uint8Array[] = [Buffer.from('begin ')];
  for (const [size, matrix] of [
    [1, undefined],
    [4097, { rows: 3, rowBytes: 1000 }],
    [2 * MIB + 1, { rows: 4, rowBytes: 65_536 }],
  ] as const) {
    const request = { path: 'log', mode: 'append', size, source: SOURCE, ...(matrix && { matrix }) } as const;
    const result = await bench.write({ ...request, checksum: 'crc32c' });
    expect(result).toMatchObject({ bytes: size, fallbackReason: expect.stringContaining('append-only') });
    parts.push(bytes(size));
  }
  appendFileSync(at('log'), 'between');
  const copied = { kind: 'file', root: 'archive', path: 'in', reflink: 'auto' } as const;
  await bench.write({ path: 'log', mode: 'append', source: copied, verify: 'readback' });
  parts.push(Buffer.from('between'), bytes(3 * MIB + 5));
  expect(Buffer.compare(readFileSync(at('log')), Buffer.concat(parts))).toBe(0);
});

withFlags('a second attempt at an append to an append-only file appends nothing twice', async () => {
  writeFileSync(at('log'), '');
  setFlag('a', 'log');
  const request = { path: 'log', mode: 'append', size: 10, source: SOURCE } as const;
  await bench.write(request, { jobKey: 'k1' });
  const again = bench.write(request, { jobKey: 'k1', again: true });
  await expect(again).rejects.toMatchObject({ code: 'EPERM', hint: expect.stringContaining('append-only') });
  expect(readFileSync(at('log')).length).toBe(10);
});

withFlags('permissions for an append-only file are refused before the first byte', async () => {
  writeFileSync(at('log'), '');
  setFlag('a', 'log');
  await expectEarly({ path: 'log', mode: 'append', size: 10, fileMode: '600' }, { code: 'EPERM', syscall: 'fchmod' });
});
