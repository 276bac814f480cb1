// What a writer thread itself costs, without a disk: `node test/bench/loop-rate.mjs <directory> [rounds]`, after npm start.
// The real thread, loop, engine and lanes drive a port that completes iocbs at a set rate and latency and touches no
// memory; the files are made and renamed in <directory>, and keep no bytes. Prints iocbs a second, for a device with
// limits how much of the time the thread had nothing to do, else the CPU an iocb (of the whole process, its compiler and
// collector included), and the least heap an iocb of a round; and what one and two such threads come to. Each round makes
// its files, so an iocb of 1 MiB rows has its share of that. With `json` as third argument all that as one line.
import { mkdirSync, rmSync } from 'node:fs';
import { resolve } from 'node:path';
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';
import { AioEngine, AioLoop, abi } from '@penstock/aio';
import { parseRequest } from '@penstock/contract/judging';
import { Roots } from '@penstock/disk';
import { Arena, Control, createArenaMemory } from '@penstock/matrix';
import { lowWord } from '@penstock/native';
import { WriterThread, runWrite } from '@penstock/sink';

const MIB = 1_048_576;
const DEPTH = 128;
const IOCB_BYTES = abi.IOCB_WORDS * 4;
const NBYTES_WORD = 8;
const OPCODE_WORD = 4;
const EVENT_RES_WORD = 4;

/** Rows that are filled once; 7 of 4 KiB are an iocb each, of 8 two would be gathered. */
const FILLED_ONCE = { kind: 'pattern', pattern: 'byte', seed: 7 };
const CASES = {
  'rows of 4 KiB, a device without limits': { files: 18, bytes: 512 * MIB, matrix: { rows: 7, rowBytes: 4096 } },
  'rows of 4 KiB, 1,000,000 iocbs/s, 60 us': {
    files: 18,
    bytes: 512 * MIB,
    matrix: { rows: 7, rowBytes: 4096 },
    device: { perSecond: 1_000_000, latencyMs: 0.06 },
  },
  'rows of 4 KiB, lanes of three kinds': {
    files: 18,
    bytes: 512 * MIB,
    matrix: { rows: 7, rowBytes: 4096 },
    sources: [
      FILLED_ONCE,
      { kind: 'file', path: 'source' },
      { kind: 'extents', extents: [{ offset: 0, size: 4096, source: { kind: 'pattern', pattern: 'byte', seed: 1 } }] },
    ],
  },
  'rows of 1 MiB, a device without limits': { files: 1, bytes: 4096 * MIB, matrix: { rows: 32, rowBytes: MIB } },
  'rows of 1 MiB, 20 GiB/s, 300 us': {
    files: 1,
    bytes: 4096 * MIB,
    matrix: { rows: 32, rowBytes: MIB },
    device: { perSecond: 20_480, latencyMs: 0.3 },
  },
};

/** Completes in order what it takes, each iocb after `latencyMs` and no faster than `perSecond`. It waits by spinning, as a timer is too late for it. */
function deviceOf({ perSecond = Number.POSITIVE_INFINITY, latencyMs = 0 } = {}) {
  const slots = new Int32Array(DEPTH);
  const dueMs = new Float64Array(DEPTH);
  const ring = DEPTH - 1;
  const eachMs = 1000 / perSecond;
  let [head, tail, busyUntilMs] = [0, 0, 0];
  const device = { iocbs: 0, spunMs: 0, open };
  function open(iocbs, iocbsAddress) {
    const first = lowWord(iocbsAddress);
    return {
      name: 'faulty',
      setup: () => 1,
      destroy: () => 0,
      submit(_context, count, pointers) {
        const now = eachMs + latencyMs > 0 ? performance.now() : 0;
        for (let index = 0; index < count; index += 1) {
          busyUntilMs = Math.max(busyUntilMs, now) + eachMs;
          slots[tail & ring] = ((pointers[index * 2] - first) | 0) / IOCB_BYTES;
          dueMs[tail & ring] = Math.max(busyUntilMs, now + latencyMs);
          tail += 1;
        }
        device.iocbs += count;
        return count;
      },
      getevents(_context, _min, max, events) {
        let now = Number.POSITIVE_INFINITY;
        if (eachMs + latencyMs > 0) {
          const since = performance.now();
          for (now = since; now < dueMs[head & ring];) now = performance.now();
          device.spunMs += now - since;
        }
        let count = 0;
        for (; head !== tail && count < max && dueMs[head & ring] <= now; head += 1) {
          const slot = slots[head & ring];
          const isSync = (iocbs[slot * abi.IOCB_WORDS + OPCODE_WORD] & 0xffff) >= abi.OPCODE_FSYNC;
          events[count * abi.EVENT_WORDS] = slot;
          events[count * abi.EVENT_WORDS + EVENT_RES_WORD] = isSync ? 0 : iocbs[slot * abi.IOCB_WORDS + NBYTES_WORD];
          count += 1;
        }
        return count;
      },
    };
  }
  return device;
}

async function measure({ files, bytes, matrix, device: limits, sources = [FILLED_ONCE] }, home, rounds) {
  const device = deviceOf(limits);
  const engine = new AioEngine(device.open, DEPTH);
  const loop = new AioLoop(engine, (error) => {
    throw error;
  });
  const roots = new Roots([{ name: 'data', path: home, writable: true, direct: 'auto' }]);
  const arena = new Arena(createArenaMemory(64 * MIB));
  const thread = new WriterThread({ engine, loop, arena, roots, index: 0 });
  const control = new Control(1, files);
  const size = Math.floor(bytes / files / MIB) * MIB;
  const write = (path, index, source) => {
    const request = parseRequest({ path, size, matrix, source });
    const attempt = { jobKey: `job${index}`, attemptToken: '1', again: false, job: `bench//job${index}/1` };
    return runWrite(thread, { request, ...attempt }, control.job(index));
  };
  if (sources.length > 1) await write('source', 0, FILLED_ONCE);
  const samples = [];
  for (let round = -2; round < rounds; round += 1) {
    const [began, cpu, heap] = [performance.now(), process.cpuUsage(), process.memoryUsage().heapUsed];
    const [iocbs, spunMs] = [device.iocbs, device.spunMs];
    await Promise.all(
      Array.from({ length: files }, (_, index) => write(`file${index}`, index, sources[index % sources.length])),
    );
    const { user, system } = process.cpuUsage(cpu);
    const count = device.iocbs - iocbs;
    const heapBytes = process.memoryUsage().heapUsed - heap;
    samples.push({
      perSecond: (count / (performance.now() - began)) * 1000,
      idle: (device.spunMs - spunMs) / (performance.now() - began),
      cpuUs: (user + system) / count,
      // A round in which the collector ran says nothing.
      heapBytes: heapBytes < 0 ? Number.NaN : heapBytes / count,
    });
  }
  engine.destroy();
  roots.close();
  await thread.digests.close();
  return samples.slice(2);
}

const median = (values) => values.toSorted((one, other) => one - other)[values.length >> 1];

/** The same on `count` threads at once, each with files of its own: by thread, what measure() returns. */
const onThreads = (count, name, home, rounds) =>
  Promise.all(
    Array.from({ length: count }, (_, index) => {
      const own = `${home}/${index}`;
      mkdirSync(own, { recursive: true });
      const worker = new Worker(new URL(import.meta.url), { workerData: { name, home: own, rounds } });
      return new Promise((ended, failed) => {
        worker.once('message', ended);
        worker.once('error', failed);
      });
    }),
  );

async function main() {
  const home = resolve(process.argv[2] ?? '.', `loop-rate-${process.pid}`);
  const rounds = Number(process.argv[3] ?? 9);
  const asJson = process.argv[4] === 'json';
  mkdirSync(home);
  const found = {};
  const show = (name, figures) => {
    found[name] = figures;
    if (asJson) return;
    const { perSecond, cpuUs, idle, heapBytes } = figures;
    const cost = cpuUs === undefined ? `idle ${(idle * 100).toFixed(0)} %` : `${cpuUs.toFixed(2)} us of CPU`;
    const heap = heapBytes === undefined ? '' : `, ${heapBytes.toFixed(1)} bytes of heap`;
    console.log(`${name.padEnd(42)} ${perSecond.toFixed(0).padStart(9)} iocbs/s, ${cost}${heap}`);
  };
  try {
    for (const [name, how] of Object.entries(CASES)) {
      const samples = await measure(how, home, rounds);
      const heapBytes = Math.min(...samples.map((sample) => sample.heapBytes).filter((bytes) => !Number.isNaN(bytes)));
      const of = (key) => median(samples.map((sample) => sample[key]));
      const cost = how.device === undefined ? { cpuUs: of('cpuUs') } : { idle: of('idle') };
      show(name, { perSecond: of('perSecond'), ...cost, heapBytes });
    }
    const [alone] = Object.keys(CASES);
    for (const count of [1, 2]) {
      const cpu = process.cpuUsage();
      const threads = await onThreads(count, alone, home, rounds);
      const { user, system } = process.cpuUsage(cpu);
      const perSecond = threads.reduce((sum, samples) => sum + median(samples.map((sample) => sample.perSecond)), 0);
      const iocbs = count * (rounds + 2) * (CASES[alone].bytes / 4096);
      show(`${count} of such threads, started and ended`, { perSecond, cpuUs: (user + system) / iocbs });
    }
    if (asJson) console.log(JSON.stringify(found));
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

if (isMainThread) await main();
else parentPort.postMessage(await measure(CASES[workerData.name], workerData.home, workerData.rounds));
