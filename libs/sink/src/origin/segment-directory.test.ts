// Whose bytes are read from shared memory: those of the host's user, and of his group where he says so.
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { makeSegmentDirectory, openSegmentDirectory } from './segment-directory.ts';
import { type Bench, openBench } from '../thread/thread.fixture.ts';

/** Another user than this one is at hand for root alone. */
const testAsRoot = process.getuid?.() === 0 ? test : test.skip;
/** As root a group that root is no member of; else this user's own. */
const GROUP = process.getuid?.() === 0 ? 5678 : process.getgid!();
const STRANGER = 4242;

let memory: string;
let directory: string;
let bench: Bench;
let umask: number;

beforeEach(() => {
  umask = process.umask(0);
  memory = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'penstock-test-'));
  chmodSync(memory, 0o1777); // as /dev/shm is
  directory = join(memory, 'penstock');
  bench = openBench();
});
afterEach(async () => {
  process.umask(umask);
  await bench.end();
  rmSync(memory, { recursive: true, force: true });
});

/** Writes `name` from the directory, as a host would that was told of this group. */
function read(name: string, groupId?: number): Promise<unknown> {
  bench.close();
  bench = openBench({ shmDirectory: directory, ...(groupId === undefined ? {} : { shmGroupId: groupId }) });
  return bench.write({ path: 'out.dat', source: { kind: 'shm', name } });
}
const written = (): string => bench.read('out.dat').toString('utf8');
const modeOf = (path: string): string => (statSync(path).mode & 0o7777).toString(8);

/** Has a process of the stranger, of these groups, run `code` with the directory as its argument. */
function asStranger(groups: number[], code: string): void {
  const program = `
    process.setgroups(${JSON.stringify(groups)}); process.setgid(${groups[0]}); process.setuid(${STRANGER});
    process.umask(0o007);
    const fs = require('node:fs'); const directory = process.argv[1];
    ${code}`;
  const { status, stderr } = spawnSync(process.execPath, ['-e', program, directory], { encoding: 'utf8' });
  expect([status, stderr]).toEqual([0, '']);
}

test('it is made for the user of the host alone, whatever the umask, and what he puts there is read', async () => {
  makeSegmentDirectory({ directory, groupId: undefined });
  expect(modeOf(directory)).toBe('700');
  writeFileSync(join(directory, 'a'), 'his');
  await read('a');
  expect(written()).toBe('his');
  makeSegmentDirectory({ directory, groupId: undefined }); // the next host finds it so
});

test("with a group it is the group's, an older one too", () => {
  const made = (): unknown[] => {
    makeSegmentDirectory({ directory, groupId: GROUP });
    return [modeOf(directory), statSync(directory).gid];
  };
  expect(made()).toEqual(['2770', GROUP]);
  rmSync(directory, { recursive: true });
  mkdirSync(directory, { mode: 0o700 });
  expect(made()).toEqual(['2770', GROUP]);
});

test('a directory that others may write, a link to one and a file are refused, at the start and at each use', async () => {
  const elsewhere = join(memory, 'elsewhere');
  makeSegmentDirectory({ directory: elsewhere, groupId: undefined });
  writeFileSync(join(elsewhere, 'a'), 'secret');
  const ways: [make: () => void, code: string, hint: RegExp][] = [
    [() => symlinkSync(elsewhere, directory), 'ELOOP', /symbolic link.*remove it.*--shm/],
    [() => writeFileSync(directory, ''), 'ENOTDIR', /no directory/],
    [() => mkdirSync(directory, 0o777), 'EPERM', /Others may put files there.*chmod 700/],
    [() => mkdirSync(directory, 0o770), 'EPERM', /Others may put files there.*--shm-group/],
  ];
  for (const [make, code, hint] of ways) {
    make();
    if (code === 'EPERM') writeFileSync(join(directory, 'a'), 'anybody');
    const refused = { code, path: directory, retryable: false, message: expect.stringMatching(hint) };
    expect(() => makeSegmentDirectory({ directory, groupId: undefined })).toThrow(expect.objectContaining(refused));
    expect(() => openSegmentDirectory({ directory, groupId: undefined })).toThrow(expect.objectContaining(refused));
    await expect(read('a')).rejects.toMatchObject(refused);
    expect(bench.names()).toEqual([]);
    rmSync(directory, { recursive: true });
  }
  expect(existsSync(join(elsewhere, 'a'))).toBe(true);
});

test('one that is put in its place while the host runs is refused', async () => {
  makeSegmentDirectory({ directory, groupId: undefined });
  writeFileSync(join(directory, 'a'), 'his');
  renameSync(directory, `${directory}-before`);
  symlinkSync(`${directory}-before`, directory);
  await expect(read('a')).rejects.toMatchObject({ code: 'ELOOP', path: directory });
});

test('links are no segments, symbolic or hard', async () => {
  makeSegmentDirectory({ directory, groupId: undefined });
  writeFileSync(join(directory, 'a'), 'his');
  symlinkSync('a', join(directory, 'symbolic'));
  mkdirSync(join(directory, 'deep'));
  symlinkSync('deep', join(directory, 'way'));
  writeFileSync(join(directory, 'deep', 'b'), 'deep');
  writeFileSync(join(memory, 'secret'), 'secret');
  linkSync(join(memory, 'secret'), join(directory, 'hard'));
  await expect(read('symbolic')).rejects.toMatchObject({
    code: 'ELOOP',
    message: expect.stringMatching(/where they stand/),
  });
  await expect(read('way/b')).rejects.toMatchObject({ code: expect.stringMatching(/^(ELOOP|ENOTDIR)$/) });
  await expect(read('hard')).rejects.toMatchObject({ code: 'EPERM', message: expect.stringMatching(/2 names/) });
  await read('deep/b');
  expect(written()).toBe('deep');
});

testAsRoot('a directory that another user has made first is refused, and says what to do', async () => {
  asStranger([STRANGER], "fs.mkdirSync(directory); fs.writeFileSync(directory + '/a', 'planted');");
  const refused = {
    code: 'EPERM',
    message: expect.stringMatching(/belongs to user 4242.*remove it.*--shm.*penstock-0/),
  };
  for (const groupId of [undefined, STRANGER]) {
    expect(() => makeSegmentDirectory({ directory, groupId })).toThrow(expect.objectContaining(refused));
    await expect(read('a', groupId)).rejects.toMatchObject(refused);
  }
  expect(statSync(directory).uid).toBe(STRANGER);
});

testAsRoot('a member of the group puts segments there that are read; a file of another group is not', async () => {
  makeSegmentDirectory({ directory, groupId: GROUP });
  asStranger([STRANGER, GROUP], "fs.writeFileSync(directory + '/a', 'a frame');");
  await read('a', GROUP);
  expect(written()).toBe('a frame');
  asStranger([STRANGER, GROUP], `fs.chownSync(directory + '/a', ${STRANGER}, ${STRANGER});`);
  await expect(read('a', GROUP)).rejects.toMatchObject({
    code: 'EPERM',
    message: expect.stringMatching(/belongs to user 4242 and group 4242.*chgrp 5678/),
  });
});

testAsRoot("a file of another user is none of the host's segments, where no group was named", async () => {
  makeSegmentDirectory({ directory, groupId: undefined });
  writeFileSync(join(directory, 'a'), 'given away');
  chownSync(join(directory, 'a'), STRANGER, STRANGER);
  await expect(read('a')).rejects.toMatchObject({ code: 'EPERM', message: expect.stringMatching(/--shm-group/) });
});

testAsRoot('a group whose directory is found for another one is told how to give it', async () => {
  mkdirSync(directory, 0o770);
  chownSync(directory, 0, 1111);
  await expect(read('a', GROUP)).rejects.toMatchObject({ code: 'EPERM', message: expect.stringMatching(/chgrp 5678/) });
});
