/** Figures of the host itself, without a peer: its main thread under load, its memory, and its rest. */
import { once } from 'node:events';
import { statfsSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { type System, homesDirectory } from '../../support/system.ts';
import { besideBench } from '../beside.ts';
import type { MeasuredCase } from '../case.ts';
import { openHost } from '../subjects/host.ts';
import { MIB, stamped } from '../subjects/large-write.ts';
import { settleDisk } from '../peers/program.ts';
import { accounted } from '../processes.ts';
import { saturate } from '../subjects/saturation.ts';

const GIB = 1024 * MIB;
/** Far longer than any write here takes on a disk that works. */
const WRITE_MS_MAX = 900_000;

const MEASURE_MS = 10_000;

async function write(system: System, path: string, size: number): Promise<void> {
  const job = await system.add({ path, size, matrix: { rows: 32, rowBytes: MIB }, source: stamped });
  const { returnvalue, failedReason } = await system.finished(job, WRITE_MS_MAX);
  if (returnvalue?.bytes !== size) throw new Error(`the write failed: ${failedReason}`);
}

const eventLoopDelay: MeasuredCase = {
  kind: 'measured',
  name: 'event-loop-delay',
  what: `p99 of the intervals of a 1 ms timer on the host's main thread, two large writes at once for ${MEASURE_MS / 1000} s`,
  missing: () => null,
  async measure(system, { smoke }) {
    const probe = `${process.env['NODE_OPTIONS'] ?? ''} --import=${pathToFileURL(besideBench('subjects/host-probe.mjs')).href}`;
    const host = await openHost(system, ['--threads', '2'], { NODE_OPTIONS: probe });
    const { child } = host.process;
    const ask = async (word: 'measure' | 'tell'): Promise<unknown> => {
      child.send(word);
      const [answer] = (await once(child, 'message')) as [unknown];
      return answer;
    };
    await settleDisk();
    const { value, processes } = await accounted(host.pids, async () => {
      const saturation = saturate(system, { files: 2, sizeBytes: smoke ? 16 * MIB : GIB });
      await ask('measure');
      await delay(smoke ? 300 : MEASURE_MS);
      const { p50, p99, max } = (await ask('tell')) as { p50: number; p99: number; max: number };
      return { p50, p99, max, large: await saturation.stop() };
    });
    await host.close();
    const figures = { 'p50 ms': value.p50, 'max ms': value.max, 'large MiB/s': value.large };
    return { value: value.p99, processes, figures };
  },
};

const memoryFlat: MeasuredCase = {
  kind: 'measured',
  name: 'memory-flat',
  what: "growth of the host's peak RSS from a write of 1 GiB to one of 16 GiB, on one thread",
  missing({ smoke }) {
    if (smoke) return null;
    const { bavail, bsize } = statfsSync(homesDirectory());
    const freeGiB = Math.floor((bavail * bsize) / GIB);
    return freeGiB >= 20 ? null : `20 GiB of free disk are needed, there are ${freeGiB}: free some`;
  },
  async measure(system, { smoke }) {
    const [small, large] = smoke ? [16 * MIB, 64 * MIB] : [GIB, 16 * GIB];
    const host = await openHost(system, ['--threads', '1']);
    const peakMiB = async (path: string, size: number): Promise<number> => {
      await settleDisk();
      const { processes } = await accounted({ host: host.pids.host }, () => write(system, path, size));
      return processes[0]!.peakRssBytes / MIB;
    };
    await write(system, 'warm-up.dat', small);
    const smallPeak = await peakMiB('small.dat', small);
    const { value: largePeak, processes } = await accounted(host.pids, () => peakMiB('large.dat', large));
    await host.close();
    const figures = { 'first peak MiB': smallPeak, 'last peak MiB': largePeak };
    return { value: largePeak - smallPeak, processes, figures };
  },
};

/** V8 collects garbage once, 10 to 25 s after the last work: of ten seconds that would be most, or not be in them. */
const IDLE_MS = 60_000;

const idleHost: MeasuredCase = {
  kind: 'measured',
  name: 'idle-host',
  what: `CPU of a host of two threads that has nothing to do, for ${IDLE_MS / 1000} s, in % of one core; Redis apart`,
  missing: () => null,
  async measure(system, { smoke }) {
    const host = await openHost(system, ['--threads', '2']);
    // It has worked, and everything it needs is there; then it comes to rest.
    await write(system, 'warm-up.dat', 16 * MIB);
    await delay(smoke ? 100 : 15_000);
    const watchedMs = smoke ? 300 : IDLE_MS;
    const { host: hostPid, redis } = host.pids;
    const { processes } = await accounted({ host: hostPid, redis }, () => delay(watchedMs));
    await host.close();
    const [hostPercent, redisPercent] = processes.map(({ cpuSeconds }) => (cpuSeconds * 100_000) / watchedMs);
    return { value: hostPercent!, processes, figures: { 'redis %': redisPercent! } };
  },
};

export const hostHealth: MeasuredCase[] = [eventLoopDelay, memoryFlat, idleHost];
