import { expect, test } from '@jest/globals';
import { accounted, cpuSecondsOf } from './processes.ts';
import { runProgram } from './peers/program.ts';

const BUSY = 'const end = process.cpuUsage().user + 200_000; while (process.cpuUsage().user < end);';
const LARGE = 'Buffer.alloc(64 << 20, 1);';

test("a program's CPU time and its peak memory are counted", async () => {
  const { stdout, seconds, usage } = await runProgram(process.execPath, ['-e', `${LARGE}${BUSY}console.log('done')`]);
  expect(stdout).toBe('done\n');
  expect(usage.cpuSeconds).toBeGreaterThanOrEqual(0.2);
  expect(seconds).toBeGreaterThanOrEqual(0.2);
  expect(usage.peakRssBytes).toBeGreaterThan(64 << 20);
});

test('a program that fails is told with its command and what it said', async () => {
  await expect(runProgram('sh', ['-c', 'echo broken >&2; exit 3'])).rejects.toThrow(/sh -c .* failed: broken/);
  await expect(runProgram('/no/such/program', [])).rejects.toThrow(/ENOENT/);
});

test('a running process is counted for as long as the work takes, not for what it did before', async () => {
  const earlier = cpuSecondsOf(process.pid);
  const { processes } = await accounted({ bench: process.pid }, async () => {
    const end = process.cpuUsage().user + 100_000;
    while (process.cpuUsage().user < end);
  });
  expect(processes).toEqual([{ name: 'bench', cpuSeconds: expect.any(Number), peakRssBytes: expect.any(Number) }]);
  expect(processes[0]!.cpuSeconds).toBeGreaterThanOrEqual(0.09);
  expect(processes[0]!.cpuSeconds).toBeLessThan(earlier + 0.1);
  expect(processes[0]!.peakRssBytes).toBeGreaterThan(10 << 20);
});
