/** What a start costs: of the command line, of a host, and of a command that writes one small file. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import type { System } from '../../support/system.ts';
import type { OpenedCase, PairedCase } from '../case.ts';
import { runProgram } from '../peers/program.ts';
import type { Side } from '../pairs.ts';
import { endedChildrenCpuSeconds } from '../processes.ts';
import { MIB } from '../subjects/large-write.ts';

/** In one sample; a start takes as long as much else on the machine. */
const STARTS = 5;
/** A host that is ready comes to rest. */
const REST_MS = 1000;

/** Runs Node with what `argsOf` gives for each start, one after another. */
const startsOf = (count: number, argsOf: (start: number) => readonly string[]): Side => ({
  prepare: async () => {},
  async run() {
    const processes = [];
    let seconds = 0;
    for (let start = 0; start < count; start += 1) {
      const done = await runProgram(process.execPath, [...argsOf(start)]);
      seconds += done.seconds;
      processes.push({ ...done.usage, name: 'all' });
    }
    const cpuSeconds = processes.reduce((sum, usage) => sum + usage.cpuSeconds, 0);
    const peakRssBytes = Math.max(...processes.map((usage) => usage.peakRssBytes));
    return {
      rate: (count * 60) / seconds,
      processes: [{ name: 'all', cpuSeconds, peakRssBytes }],
      figures: { 'CPU ms': (cpuSeconds * 1000) / count },
    };
  },
});

function starting(
  name: PairedCase['name'],
  what: string,
  open: (system: System, count: number) => Promise<Pick<OpenedCase, 'subject' | 'close'>>,
): PairedCase {
  return {
    kind: 'paired',
    name,
    what,
    peer: 'Node itself, which starts and ends',
    unit: 'starts/min',
    missing: () => null,
    async open(system, { smoke }) {
      const count = smoke ? 1 : STARTS;
      return { ...(await open(system, count)), peer: startsOf(count, () => ['-e', '0']) };
    },
  };
}

interface StartedHost {
  child: ChildProcess;
  close: () => Promise<void>;
}

/** A host with an embedded Redis of its own. */
async function startHost(system: System, directory: string): Promise<StartedHost> {
  const args = [system.build.host, '--data', directory, '--threads', '2', '--quiet'];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  const exited = once(child, 'exit');
  const [first] = (await Promise.race([once(child, 'message'), exited])) as [{ ready?: true } | null];
  if (first?.ready !== true) throw new Error('the host did not start');
  return {
    child,
    async close() {
      child.disconnect();
      await exited;
    },
  };
}

const residentMiB = ({ pid }: ChildProcess): number =>
  Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]) / 1024;

/** `penstock write` of 4 KiB, each to a file of its own. */
const writes = (system: System, count: number, directory: string): Side => {
  let file = 0;
  return startsOf(count, () => {
    file += 1;
    return [system.build.cli, 'write', `${file}.dat`, '--size', '4KiB', '--data', directory];
  });
};

const nothingToClose = async (): Promise<void> => {};

export const startings: PairedCase[] = [
  starting('start-version', 'penstock --version', async (system, count) => ({
    subject: startsOf(count, () => [system.build.cli, '--version']),
    close: nothingToClose,
  })),
  starting('start-host', 'a host with its Redis, until it is ready; then its memory at rest', async (system) => ({
    subject: {
      prepare: nothingToClose,
      async run() {
        const cpuBefore = endedChildrenCpuSeconds();
        const begun = performance.now();
        const host = await startHost(system, join(system.home, 'own'));
        const seconds = (performance.now() - begun) / 1000;
        await delay(REST_MS);
        const idle = residentMiB(host.child);
        await host.close();
        const cpuSeconds = endedChildrenCpuSeconds() - cpuBefore;
        const figures = { 'CPU ms': cpuSeconds * 1000, 'idle MiB': idle };
        return { rate: 60 / seconds, processes: [{ name: 'all', cpuSeconds, peakRssBytes: idle * MIB }], figures };
      },
    },
    close: nothingToClose,
  })),
  starting('write-beside-host', 'penstock write of 4 KiB, beside a host that runs', async (system, count) => {
    const directory = join(system.home, 'own');
    const host = await startHost(system, directory);
    return { subject: writes(system, count, directory), close: host.close };
  }),
  starting('write-alone', 'penstock write of 4 KiB, which starts Redis and a host', async (system, count) => ({
    subject: writes(system, count, join(system.home, 'own')),
    close: nothingToClose,
  })),
];
