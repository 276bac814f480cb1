/**
 * Trials: real writes into a root, by a host and over a queue of their own, so that what is measured is what a user
 * gets. What they write lies in one hidden directory of the root, which goes with them.
 */
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { openStore } from '@penstock/config';
import { type WriteResult, fromWire } from '@penstock/contract';
import type { WriteQueue } from '@penstock/queue';
import { AppProcess } from '../processes/app-process.ts';
import { follow } from '../job/follow.ts';
import type { Interrupts } from '../terminal/interrupts.ts';
import { say } from '../terminal/output.ts';
import { silentProgress } from '../terminal/progress-line.ts';
import { type Candidate, MATRIX_BYTES_MAX } from './narrow.ts';

const PREFIX = '.penstock-calibrate-';
/** A run ends in about a minute: what is older than this was left by one that was killed. */
const LEFT_BEHIND_MS = 600_000;
/** Not zeroes, which some disks only take a note of; the same everywhere, so that filling rows costs nothing. */
const SOURCE = { kind: 'pattern', pattern: 'byte', seed: 0xa5 } as const;

/** Writes `bytes` as `candidate` says: a file by each thread, all at once. Resolves with their results. */
export type TryOut = (candidate: Candidate, bytes: number, signal: AbortSignal) => Promise<WriteResult[]>;

export interface TrialOptions {
  /** The directory of the root. */
  directory: string;
  /** The most that will be tried. */
  threadsMax: number;
  depthMax: number;
  interrupts: Interrupts;
}

/** Runs `use`, and leaves nothing of its trials behind, however it ends. */
export async function withTrials<T>(options: TrialOptions, use: (tryOut: TryOut) => Promise<T>): Promise<T> {
  removeLeftBehind(options.directory);
  const made: string[] = [];
  const make = (parent: string): string => {
    const path = mkdtempSync(join(parent, PREFIX));
    made.push(path);
    return path;
  };
  try {
    return await carryOut(options, make(options.directory), make(tmpdir()), use);
  } finally {
    for (const path of made) rmSync(path, { recursive: true, force: true });
  }
}

/** The host writes into `place`, a directory of the root; its queue and all else of its own lie in `home`. */
async function carryOut<T>(
  { directory, threadsMax, depthMax, interrupts: { signal, hurry } }: TrialOptions,
  place: string,
  home: string,
  use: (tryOut: TryOut) => Promise<T>,
): Promise<T> {
  // Loading the queue's client takes longer than starting its Redis: meanwhile a host can start as well.
  const loading = import('@penstock/queue');
  const onError = (error: Error): void => say(error.message);
  const store = await openStore({ kind: 'embedded', directory: home }, process.env, onError);
  let host: AppProcess | null = null;
  let queue: WriteQueue | null = null;
  try {
    const { PENSTOCK_REDIS_URL: _other, ...env } = process.env;
    // One write's matrix bounds what it has in flight as the depth does: one host serves trials of any depth. With one
    // job a thread, writes that begin together are each on a thread of their own.
    const figures = { threads: threadsMax, depth: depthMax, jobs: 1, memory: threadsMax * MATRIX_BYTES_MAX };
    host = await AppProcess.start({
      label: 'host',
      args: ['--quiet', '--data', home, '--root', `data=${directory}`].concat(
        Object.entries(figures).flatMap(([name, value]) => [`--${name}`, String(value)]),
      ),
      env,
      onLine: () => {}, // it may warn of more in flight than the device has tags, of which no trial makes use
      signal,
      hurry,
    });
    const { WriteQueue: Client } = await loading;
    const client = new Client({ connection: store.connection, onError });
    queue = client;
    const unattended = new AbortController();
    const abandon = async ({ ended }: AppProcess): Promise<void> => {
      unattended.abort(new Error(`the host of the trials ended unexpectedly (${await ended})`));
    };
    void abandon(host);
    const still = AbortSignal.any([signal, unattended.signal]);
    return await use((candidate, bytes, over) =>
      writeAtOnce(client, place, candidate, bytes, AbortSignal.any([still, over])),
    );
  } finally {
    await host?.stop();
    await queue?.close();
    await store.close();
  }
}

async function writeAtOnce(
  queue: WriteQueue,
  place: string,
  { threads, depth, rowBytes }: Candidate,
  bytes: number,
  signal: AbortSignal,
): Promise<WriteResult[]> {
  signal.throwIfAborted();
  const names = Array.from({ length: threads }, (_, index) => `${index}.bin`);
  const ids = await queue.addBulk(
    names.map((name) => ({
      path: `${basename(place)}/${name}`,
      size: Math.ceil(bytes / threads),
      matrix: { rows: depth, rowBytes },
      source: SOURCE,
    })),
    { attempts: 1 },
  );
  const outcomes = await Promise.all(
    ids.map((id) => follow<WriteResult>(queue, id, 'a trial', silentProgress(say), signal)),
  );
  // Not to be replaced by the next trial's: freeing them is no part of a write.
  for (const name of names) rmSync(join(place, name), { force: true });
  return outcomes.map((outcome) => {
    if (outcome.ok) return outcome.result;
    throw fromWire(outcome.error);
  });
}

/** A directory of a run that was killed before it could remove it. */
function removeLeftBehind(directory: string): void {
  for (const name of readdirSync(directory)) {
    if (!name.startsWith(PREFIX)) continue;
    const path = join(directory, name);
    const modifiedMs = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now(); // another run may just have ended
    if (Date.now() - modifiedMs > LEFT_BEHIND_MS) rmSync(path, { recursive: true, force: true });
  }
}
