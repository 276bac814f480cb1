import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { JobRequestInput } from '@penstock/contract';
import { parseJob } from '@penstock/contract/judging';
import { jobKeyOf, partPrefix } from '@penstock/sink';
import { Admission, type Applicant, type Ticket } from './admission.ts';

let home: string;
/** What the disk answers; tests change it. */
let disk: { availableBytes: number; totalBytes: number };
let asked: number;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'penstock-admission-'));
  for (const name of ['one', 'two']) mkdirSync(join(home, name));
  disk = { availableBytes: 10_000_000, totalBytes: 20_000_000 };
  asked = 0;
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

function admission(): Admission {
  const gate = new Admission(() => {
    asked += 1;
    return Promise.resolve({ ...disk });
  });
  for (const name of ['one', 'two']) gate.add({ name, path: join(home, name), writable: true }, 1);
  return gate;
}
const of = (request: JobRequestInput, starts = 1): Applicant => ({
  request: parseJob(request),
  jobName: 'job@1',
  starts,
});
const write = (size: number, more: object = {}): Applicant => of({ path: 'a.dat', root: 'one', size, ...more });
const reading = (phase: string, bytesWritten = 0) =>
  ({ read: () => ({ phase, bytesWritten, bytesDurable: 0, totalBytes: 0, inFlight: 0 }) }) as Parameters<
    Ticket['follow']
  >[0];

test('two writes that fit alone and not together are not both let through, on two roots of one disk; the refusal has all figures', async () => {
  const gate = admission();
  const first = await gate.admit(write(6_000_000));
  const second = of({ path: 'b.dat', root: 'two', size: 6_000_000 });
  await expect(gate.admit(second)).rejects.toMatchObject({
    code: 'ENOSPC',
    syscall: 'statfs',
    path: join(home, 'two/b.dat'),
    length: 6_000_000,
    message: expect.stringMatching(
      /5\.72 MiB needed, 9\.54 MiB free on two, 5\.72 MiB of it reserved by 1 other write: /,
    ),
  });
  first.release();
  first.release();
  await gate.admit(second);
});

test('what a thread has allocated is not counted twice, and what it has not is not forgotten', async () => {
  const gate = admission();
  const first = await gate.admit(write(6_000_000));
  first.follow(reading('opening'));
  await expect(gate.admit(write(4_500_000))).rejects.toMatchObject({ code: 'ENOSPC' });
  first.follow(reading('writing'));
  disk.availableBytes = 4_000_000; // as the disk sees it, with the first one's bytes
  await expect(gate.admit(write(4_500_000))).rejects.toMatchObject({
    message: expect.stringMatching(/3\.81 MiB free on one: /),
  });
  await gate.admit(write(3_900_000));
});

test('a write that no such disk could hold is refused for good', async () => {
  await expect(admission().admit(write(20_000_001))).rejects.toMatchObject({ code: 'EFBIG', retryable: false });
});

test('small writes are let through at once, and the disk is asked twice a second at most', async () => {
  const gate = admission();
  expect(gate.tryAdmit(write(4096).request)).toBeNull(); // nothing is known of the disk yet
  (await gate.admit(write(4096))).release();
  for (let count = 0; count < 300; count += 1) gate.tryAdmit(write(4096).request)?.release();
  expect(asked).toBe(1);
  // More than a quarter of what is free takes a closer look.
  expect(gate.tryAdmit(write(2_500_000).request)).toBeNull();
});

test('a write whose size only its source knows, and one for a root that is not there, need no space here', () => {
  const gate = admission();
  for (const request of [
    { path: 'a', root: 'one', source: { kind: 'file', path: 'b' } },
    { path: 'a', root: 'elsewhere', size: 1 },
    { path: 'a', root: 'one', size: 0 },
  ] as const) {
    expect(gate.tryAdmit(parseJob(request))).not.toBeNull();
  }
  expect(asked).toBe(0);
});

test('in place only what is new counts', async () => {
  writeFileSync(join(home, 'one/a.dat'), Buffer.alloc(8_000_000, 1));
  disk.availableBytes = 1_000_000;
  const gate = admission();
  (await gate.admit(write(8_900_000, { publish: 'in-place' }))).release();
  (await gate.admit(write(4_000_000, { mode: 'overwrite', offset: 4_900_000 }))).release();
  await expect(gate.admit(write(4_000_000, { mode: 'overwrite', offset: 5_100_000 }))).rejects.toMatchObject({
    code: 'ENOSPC',
  });
  await expect(gate.admit(write(1_100_000, { mode: 'append' }))).rejects.toMatchObject({ code: 'ENOSPC' });
  await expect(gate.admit(write(1_100_000))).rejects.toMatchObject({ code: 'ENOSPC' });
});

test('what an earlier attempt left beside the target is not asked for again', async () => {
  const name = `${partPrefix(jobKeyOf('job@1', { root: 'one', path: 'a.dat' }))}1.part`;
  writeFileSync(join(home, 'one', name), Buffer.alloc(8_000_000, 1));
  disk.availableBytes = 1_000_000;
  const gate = admission();
  await expect(gate.admit(write(8_500_000))).rejects.toMatchObject({ code: 'ENOSPC' });
  await gate.admit({ ...write(8_500_000), starts: 2 });
});

test('the files of a bulk count together', async () => {
  const files = Array.from({ length: 11 }, (_, index) => ({ path: `${index}.dat`, root: index % 2 ? 'one' : 'two' }));
  await expect(admission().admit(of({ files, size: 1_000_000 }))).rejects.toMatchObject({
    code: 'ENOSPC',
    length: 11_000_000,
  });
  await admission().admit(of({ files: files.slice(1), size: 1_000_000 }));
});

test('a disk that cannot be asked fails the write with the call and the path', async () => {
  rmSync(join(home, 'one'), { recursive: true });
  mkdirSync(join(home, 'one'));
  const gate = new Admission();
  gate.add({ name: 'one', path: join(home, 'one'), writable: true }, 1);
  rmSync(join(home, 'one'), { recursive: true });
  await expect(gate.admit(write(1))).rejects.toMatchObject({
    code: 'ENOENT',
    syscall: 'statfs',
    path: join(home, 'one'),
  });
});

test('a job that needs space which is becoming free is let through when it is, and not refused', async () => {
  const freed: (() => void)[] = [];
  const roots: string[] = [];
  const whenFreed = (root: string): Promise<void> => {
    roots.push(root);
    return new Promise((resolve) => freed.push(resolve));
  };
  const gate = new Admission(() => Promise.resolve({ ...disk }), undefined, whenFreed);
  gate.add({ name: 'one', path: join(home, 'one'), writable: true }, 1);
  let isAdmitted = false;
  const admitted = gate.admit(write(12_000_000)).finally(() => (isAdmitted = true));
  const frees = async (count: number, availableBytes: number): Promise<void> => {
    while (freed.length < count) await setImmediate();
    expect(isAdmitted).toBe(false);
    disk.availableBytes = availableBytes;
    freed[count - 1]!();
  };
  await frees(1, 11_000_000); // not enough yet
  await frees(2, 12_000_000);
  await admitted;
  expect(roots).toEqual(['one', 'one', 'one']);
});

test('what no such disk could hold is refused at once, whatever is becoming free', async () => {
  const gate = new Admission(
    () => Promise.resolve({ ...disk }),
    undefined,
    () => new Promise(() => {}),
  );
  gate.add({ name: 'one', path: join(home, 'one'), writable: true }, 1);
  await expect(gate.admit(write(30_000_000))).rejects.toMatchObject({ code: 'EFBIG' });
});
