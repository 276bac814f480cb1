/** What every port does alike: the contract of libs/aio/src/port.ts, provoked for real where a kernel is behind it. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { createInterface } from 'node:readline';
import { setImmediate as breathe } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from '@jest/globals';
import { type FaultyOptions, abi, faultyPort } from '@penstock/aio';
import { BLOCK, PortBench, closeBenches, TestFile, withDirectory } from './bench.fixture.ts';
import { childPort, describePorts, mappedContexts } from './ports.fixture.ts';

const { EAGAIN, EBADF, EFBIG, EINTR, EINVAL, EIO } = constants.errno;
const { OPCODE_FDSYNC, OPCODE_FSYNC, OPCODE_PREAD, OPCODE_PWRITE } = abi;
/** A descriptor that nobody has. */
const NO_FD = 1_000_000;

const interruptedFixture = fileURLToPath(new URL('interrupted.fixture.mjs', import.meta.url));
const fileLimitFixture = fileURLToPath(new URL('file-limit.fixture.mjs', import.meta.url));
const system = (name: string): number => Number(readFileSync(`/proc/sys/fs/${name}`, 'latin1'));
const numbers = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

let bench: PortBench | undefined;
afterEach(closeBenches);

/** The bench of this test: closed after it. */
function open(...options: ConstructorParameters<typeof PortBench>): PortBench {
  bench = new PortBench(...options);
  return bench;
}

const faultyBench = (
  options: Omit<FaultyOptions, 'seed'>,
): { bench: PortBench; double: ReturnType<typeof faultyPort> } => {
  const double = faultyPort({ seed: 7, ...options });
  return { bench: open({ make: () => double }), double };
};

describePorts(
  'every port',
  () => true,
  (kind) => {
    test('writes rows that read back the same, through itself and through the page cache', () => {
      const { row, file } = openBound(kind);
      for (const index of numbers(8)) row(index, 2 * BLOCK).fill(index + 1);
      for (const index of numbers(8))
        bench!.prep(index, OPCODE_PWRITE, { length: 2 * BLOCK, offset: index * 2 * BLOCK });
      expect(bench!.submit(numbers(8))).toBe(8);
      expect([...bench!.reapAll(8).values()]).toEqual(Array.from({ length: 8 }, () => 2 * BLOCK));
      expect(bench!.perform(8, OPCODE_FDSYNC)).toMatchObject({ slot: 8, result: 0 });
      for (const index of numbers(8)) {
        expect(bench!.perform(20 + index, OPCODE_PREAD, { length: 2 * BLOCK, offset: index * 2 * BLOCK }).result).toBe(
          2 * BLOCK,
        );
        expect(Buffer.compare(row(20 + index, 2 * BLOCK), row(index, 2 * BLOCK))).toBe(0);
      }
      const content = file.content();
      expect(content.length).toBe(16 * BLOCK);
      expect(numbers(8).every((index) => content[index * 2 * BLOCK] === index + 1)).toBe(true);
    });

    test('completes each iocb of a batch once, under its own slot, whatever the order of the offsets', () => {
      const { row, file } = openBound(kind);
      const places = numbers(32).map((index) => (index * 13) % 32); // every place once, no two neighbours in a row
      for (const [index, place] of places.entries()) {
        row(index).fill(place + 1);
        bench!.prep(index, OPCODE_PWRITE, { offset: place * BLOCK });
      }
      expect(bench!.submit(numbers(32))).toBe(32);
      const results = bench!.reapAll(32);
      expect([...results.keys()].toSorted((left, right) => left - right)).toEqual(numbers(32));
      expect(new Set(results.values())).toEqual(new Set([BLOCK]));
      expect(numbers(32).map((place) => file.content()[place * BLOCK])).toEqual(numbers(32).map((place) => place + 1));
    });

    test('lets an iocb be used again as soon as submit has returned', () => {
      const { row, file } = openBound(kind);
      for (const index of numbers(4)) {
        row(index).fill(index + 1);
        bench!.prep(index, OPCODE_PWRITE, { offset: index * BLOCK });
      }
      expect(bench!.submit(numbers(4))).toBe(4);
      for (const index of numbers(4)) bench!.prep(index, 99, { fd: NO_FD, length: 0, offset: 0 });
      expect(new Set(bench!.reapAll(4).values())).toEqual(new Set([BLOCK]));
      expect(numbers(4).map((index) => file.content()[index * BLOCK])).toEqual([1, 2, 3, 4]);
    });

    test('reads short at the end of the file, and nothing behind it', () => {
      open(kind, { content: new Uint8Array(BLOCK + 1000).fill(7) });
      expect(bench!.perform(0, OPCODE_PREAD, { length: 2 * BLOCK })).toMatchObject({
        result: BLOCK + 1000,
        result2: 0,
      });
      expect(bench!.perform(1, OPCODE_PREAD, { offset: 2 * BLOCK })).toMatchObject({ result: 0, result2: 0 });
      expect(bench!.row(0, 2 * BLOCK)[BLOCK + 999]).toBe(7);
    });

    test('syncs a file and a directory', () => {
      open(kind);
      expect(bench!.perform(0, OPCODE_FDSYNC).result).toBe(0);
      expect(bench!.perform(1, OPCODE_FSYNC).result).toBe(0);
      withDirectory(bench!.file, (fd) => expect(bench!.perform(2, OPCODE_FSYNC, { fd }).result).toBe(0));
    });

    test('reports a misaligned buffer in the event: res is -EINVAL while res2 says 0', () => {
      open(kind);
      const strict = bench!.file.isStrict(bench!.address);
      const { result, result2 } = bench!.perform(0, OPCODE_PWRITE, { shift: 16 });
      // tmpfs and btrfs take any buffer: there the case cannot be provoked.
      expect({ result, result2 }).toEqual({ result: strict ? -EINVAL : BLOCK, result2: 0 });
    });

    test('takes no more than its ring holds, says EAGAIN to the rest, and goes on once events are reaped', () => {
      open(kind, { depth: 4, iocbs: 64, content: new Uint8Array(BLOCK) });
      for (const slot of numbers(64)) bench!.prep(slot, OPCODE_PREAD);
      let taken = 0;
      let last = 0;
      // The kernel makes a ring larger than it was asked for, by the number of processors.
      while (taken < 20_000) {
        last = bench!.submit(numbers(64));
        if (last < 0) break;
        taken += last;
      }
      expect(last).toBe(-EAGAIN);
      expect(taken).toBeGreaterThanOrEqual(4);
      // All of them: the kernel counts free places by processor, and one alone may be out of this one's sight.
      let reaped = 0;
      while (reaped < taken) reaped += bench!.reap(64).length;
      expect(bench!.submit(numbers(4))).toBe(4);
      expect([...bench!.reapAll(4).keys()].toSorted((left, right) => left - right)).toEqual(numbers(4));
      expect(bench!.reap(1, 0, 0)).toEqual([]);
    });

    test('destroy waits for what is in flight: its bytes are in the file, its events are gone', () => {
      open(kind, { depth: 16 });
      for (const slot of numbers(16)) {
        bench!.row(slot, 16 * BLOCK).fill(slot + 1);
        bench!.prep(slot, OPCODE_PWRITE, { length: 16 * BLOCK, offset: slot * 16 * BLOCK });
      }
      expect(bench!.submit(numbers(16))).toBe(16);
      expect(bench!.destroy()).toBe(0);
      // Quiet from here: what the rows hold now must not reach the file.
      bench!.rows.fill(0xee);
      const content = bench!.file.content();
      expect(content.length).toBe(256 * BLOCK);
      expect(numbers(256).map((place) => content[place * BLOCK])).toEqual(
        numbers(256).map((place) => (place >> 4) + 1),
      );
    });
  },
);

/** A bench whose row() can be taken out of it. */
function openBound(kind: ConstructorParameters<typeof PortBench>[0]): { row: PortBench['row']; file: TestFile } {
  const opened = open(kind);
  return { row: (index, length) => opened.row(index, length), file: opened.file };
}

describePorts(
  'an asynchronous port',
  (kind) => kind.asynchronous,
  (kind) => {
    test('takes what stands before a bad iocb, then refuses the bad one alone, by an errno and no event', () => {
      open(kind);
      for (const slot of [0, 2]) bench!.prep(slot, OPCODE_PWRITE, { offset: slot * BLOCK });
      bench!.prep(1, OPCODE_PWRITE, { fd: NO_FD });
      expect(bench!.submit([0, 1, 2])).toBe(1);
      expect(bench!.submit([1, 2])).toBe(-EBADF);
      expect(bench!.submit([2])).toBe(1);
      const results = bench!.reapAll(2);
      expect([results.get(0), results.get(2)]).toEqual([BLOCK, BLOCK]);
      expect(bench!.reap(1, 0, 0)).toEqual([]);
    });

    test('refuses a negative offset, an unknown opcode, a descriptor that is not open for it, a sync of a part', () => {
      open(kind);
      const readOnly = openSync(bench!.file.path, 'r');
      bench!.prep(0, OPCODE_PWRITE, { offset: -BLOCK });
      bench!.prep(1, 77);
      bench!.prep(2, OPCODE_PWRITE, { fd: readOnly });
      bench!.prep(3, OPCODE_FDSYNC, { fd: NO_FD });
      bench!.prep(4, OPCODE_FDSYNC, { offset: BLOCK }); // a sync of a part is not to be had
      const refusals = numbers(5).map((slot) => bench!.submit([slot]));
      closeSync(readOnly);
      expect(refusals).toEqual([-EINVAL, -EINVAL, -EBADF, -EBADF, -EINVAL]);
      expect(bench!.reap(4, 0, 0)).toEqual([]);
    });

    test('refuses a context past the limit of the machine, and one for nothing', () => {
      open(kind);
      expect(bench!.port.setup(kind.kernel ? Math.min(system('aio-max-nr') + 1, 4_000_000) : 65_537)).toBe(-EAGAIN);
      expect(bench!.port.setup(0)).toBe(-EINVAL);
    });

    test('a wait for nothing ends about when its time is over, and at once if it has none', () => {
      open(kind);
      const began = performance.now();
      expect(bench!.reap(1, 0, 1)).toEqual([]);
      const atOnce = performance.now() - began;
      expect(bench!.reap(1, 60, 1)).toEqual([]);
      const slice = performance.now() - began - atOnce;
      expect(atOnce).toBeLessThan(50);
      expect(slice).toBeGreaterThan(55);
      expect(slice).toBeLessThan(1000); // the machine may be busy; never is what it must not be
    });
  },
);

describePorts(
  'kernel AIO',
  (kind) => kind.kernel,
  (kind) => {
    test('maps one ring for each context and unmaps it again', () => {
      open(kind);
      expect(mappedContexts()).toBe(1);
      const second = bench!.port.setup(8);
      expect(second).toBeGreaterThan(0);
      expect(mappedContexts()).toBe(2);
      expect(bench!.port.destroy(second)).toBe(0);
      expect(mappedContexts()).toBe(1);
    });

    test('counts what was asked for in fs.aio-nr, not what the ring holds', () => {
      open(kind);
      // Other processes make and destroy contexts too: a difference of exactly ours, seen once, proves it.
      const seen = numbers(100).some(() => {
        const before = system('aio-nr');
        const context = bench!.port.setup(77);
        const during = system('aio-nr');
        bench!.port.destroy(context);
        return during - before === 77;
      });
      expect(seen).toBe(true);
    });

    test('a destroyed context is refused, not touched', () => {
      open(kind);
      expect(bench!.destroy()).toBe(0);
      bench!.prep(0, OPCODE_PWRITE);
      expect(bench!.submit([0])).toBe(-EINVAL);
      expect(bench!.port.destroy(bench!.context)).toBe(-EINVAL);
    });

    test('a wait is interrupted when the process is stopped and continued: EINTR, long before its time is over', async () => {
      const child = spawn(process.execPath, [interruptedFixture, ...childPort(kind)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
      const closed = once(child, 'close');
      expect((await lines.next()).value).toBe('waiting');
      await untilState(child.pid!, 'S');
      child.kill('SIGSTOP');
      await untilState(child.pid!, 'T');
      const stoppedAt = performance.now();
      child.kill('SIGCONT');
      expect((await lines.next()).value).toBe(`${-EINTR}`);
      expect(performance.now() - stoppedAt).toBeLessThan(8000);
      expect((await closed)[0]).toBe(0);
    });
  },
);

/** Waits until the main thread of `pid` is asleep ('S') or stopped ('T'). */
async function untilState(pid: number, state: string): Promise<void> {
  const stateOf = (): string => readFileSync(`/proc/${pid}/stat`, 'latin1').replace(/^.*\) /s, '')[0]!;
  // There is no event for another process falling asleep.
  while (stateOf() !== state) await breathe();
}

describePorts(
  'a short write',
  (kind) => kind.name !== 'faulty',
  (kind) => {
    test('at the file size limit tells the bytes done, and the write behind it EFBIG', () => {
      const file = new TestFile();
      // ulimit counts 512-byte units: 96 KiB, or 192 KiB where a shell counts in 1024.
      const args = [process.execPath, fileLimitFixture, file.path, ...childPort(kind)];
      const child = spawnSync('sh', ['-c', 'ulimit -f 192 && exec "$@"', 'sh', ...args], { encoding: 'utf8' });
      expect(child.stderr).toBe('');
      const { limit, across, at } = JSON.parse(child.stdout) as {
        limit: number;
        across: { result: number; refused: number };
        at: { result: number; refused: number };
      };
      expect(across).toEqual({ result: limit, refused: 0 });
      expect(at).toEqual({ result: -EFBIG, refused: 0 });
      expect(file.content()).toEqual(new Uint8Array(limit).fill(0x5a));
    });
  },
);

describe('the double, where only a double can be asked', () => {
  test('a short write tells the bytes done, the rest of the row is not in the file, and an error carries out nothing', () => {
    const {
      bench: { file },
      double,
    } = faultyBench({
      script: [
        { fault: 'shortWrite', amount: BLOCK },
        { fault: 'failed', when: ({ offset }) => offset === 4 * BLOCK, errno: EFBIG },
      ],
    });
    bench!.row(0, 2 * BLOCK).fill(9);
    expect(bench!.perform(0, OPCODE_PWRITE, { length: 2 * BLOCK })).toMatchObject({ result: BLOCK, result2: 0 });
    expect(bench!.perform(1, OPCODE_PWRITE, { offset: 4 * BLOCK })).toMatchObject({ result: -EFBIG, result2: 0 });
    expect(file.content()).toEqual(new Uint8Array(BLOCK).fill(9));
    expect(double.fired).toMatchObject({ shortWrite: 1, failed: 1 });
  });

  test('submit and wait are interrupted, a batch is taken in parts, a submit is refused, a wait is empty', () => {
    const { double } = faultyBench({
      script: [
        { fault: 'submitInterrupted' },
        { fault: 'submitBusy' },
        { fault: 'partialSubmit', amount: 2 },
        { fault: 'refused', nth: 2, errno: EIO },
        { fault: 'waitInterrupted' },
        { fault: 'emptyWait' },
        { fault: 'delayed' },
      ],
    });
    for (const slot of numbers(4)) bench!.prep(slot, OPCODE_PWRITE, { offset: slot * BLOCK });
    expect(bench!.submit([0, 1, 2, 3])).toBe(-EINTR);
    expect(bench!.submit([0, 1, 2, 3])).toBe(-EAGAIN);
    expect(bench!.submit([0, 1, 2, 3])).toBe(2);
    expect(bench!.submit([2, 3])).toBe(-EIO);
    expect(bench!.submit([3])).toBe(1);
    expect(() => bench!.reap(4)).toThrow(`getevents gave ${-EINTR}`);
    expect(bench!.reap(4)).toEqual([]);
    expect(bench!.reap(4).length).toBe(2);
    expect(bench!.reap(4).length).toBe(1);
    expect(Object.values(double.fired).reduce((sum, count) => sum + count)).toBe(7);
  });

  test('nothing is written before a wait completes it: a row changed in flight is seen in the file', () => {
    const {
      bench: { file },
    } = faultyBench({});
    bench!.row(0).fill(1);
    bench!.prep(0, OPCODE_PWRITE);
    expect(bench!.submit([0])).toBe(1);
    expect(file.content().length).toBe(0);
    bench!.row(0).fill(2);
    bench!.reapAll(1);
    expect(file.content()[0]).toBe(2);
  });

  test('a wait on a destroyed context fails loudly, where libaio would crash the process', () => {
    faultyBench({});
    bench!.destroy();
    expect(() => bench!.reap(1)).toThrow('SIGSEGV');
  });

  test('its contexts share a limit', () => {
    const {
      bench: { port },
    } = faultyBench({ aioMax: 48 }); // the bench has 32 of them
    expect(port.setup(17)).toBe(-EAGAIN);
    const context = port.setup(16);
    expect(context).toBeGreaterThan(0);
    port.destroy(context);
    expect(port.setup(16)).toBeGreaterThan(0);
  });
});
