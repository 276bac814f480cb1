/**
 * Finds how a root is written fastest in few trials: one axis at a time with the others kept, again from where that
 * led, and the best of all at last against each other. Throughput rises along each axis until the device is full and
 * stays about there, so this finds what trying everything would, and has the time to measure it more than once.
 */

/** What is tried: threads, the rows of each one's matrix, all of them in flight at once, and the size of a row. */
export interface Candidate {
  threads: number;
  depth: number;
  rowBytes: number;
}

type Axis = keyof Candidate;

/** Ascending values of each axis, and what must not be tried together. */
export interface Grid extends Record<Axis, readonly number[]> {
  isAllowed: (candidate: Candidate) => boolean;
}

export interface Sampled extends Candidate {
  /** Bytes per second, in the order they were measured. */
  samples: number[];
}

export interface Narrowed {
  /** null if the time was over before anything was measured. */
  winner: Sampled | null;
  trials: Sampled[];
  /** False if the time was over first: the winner is the best of what was measured. */
  complete: boolean;
}

/** Where the search begins: the default matrix, on one thread. */
const START: Candidate = { threads: 1, depth: 32, rowBytes: 1_048_576 };
const AXES: readonly Axis[] = ['rowBytes', 'depth', 'threads'];
const ROUNDS_MAX = 3;
/** Rates this close are the same, and the cheaper of them is better. */
const TIE = 0.03;
const FINALISTS = 4;
const FINAL_ROUNDS = 6;

/** No matrix takes more row memory than the default one. */
export const MATRIX_BYTES_MAX = 33_554_432;
const DEPTHS = [8, 16, 32, 64, 128];
const ROW_BYTES = [65_536, 262_144, 1_048_576, 4_194_304];

/** What can be tried on a device of `tags` (null: not known) with up to `threadsMax` threads. */
export function gridFor(tags: number | null, threadsMax: number): Grid {
  const tagsMax = tags ?? Number.POSITIVE_INFINITY;
  const depth = DEPTHS.filter((value) => value <= tagsMax);
  return {
    threads: [...new Set([1, 2, threadsMax])].filter((value) => value <= threadsMax),
    depth: depth.length > 0 ? depth : [tagsMax],
    rowBytes: ROW_BYTES,
    isAllowed: (candidate) =>
      candidate.threads * candidate.depth <= tagsMax && candidate.depth * candidate.rowBytes <= MATRIX_BYTES_MAX,
  };
}

/** Narrows `grid` down. `measure` resolves with bytes per second, or with null once the time is over. */
export async function narrow(grid: Grid, measure: (candidate: Candidate) => Promise<number | null>): Promise<Narrowed> {
  const sampled = new Map<string, Sampled>();
  let complete = true;

  async function sample(candidates: readonly Candidate[]): Promise<void> {
    for (const candidate of candidates) {
      // One at a time: they share the disk.
      const rate = complete ? await measure(candidate) : null;
      if (rate === null) {
        complete = false;
        return;
      }
      const key = keyOf(candidate);
      const known = sampled.get(key) ?? { ...candidate, samples: [] };
      known.samples.push(rate);
      sampled.set(key, known);
    }
  }
  const measured = (candidates: readonly Candidate[]): Sampled[] =>
    candidates.flatMap((candidate) => sampled.get(keyOf(candidate)) ?? []);

  let best = fit(grid, START);
  for (let round = 0; round < ROUNDS_MAX && complete && best !== null; round += 1) {
    const before: Candidate = best;
    for (const axis of AXES) {
      const line = lineThrough(grid, best, axis);
      const fresh = line.filter((candidate) => !sampled.has(keyOf(candidate)));
      // To and fro, so that a disk that slows down meanwhile slows all of them down.
      await sample([...fresh, ...fresh.toReversed()]);
      best = pick(measured(line)) ?? best;
    }
    if (keyOf(best) === keyOf(before)) break;
  }
  // The cheapest so far, which need not be among the fastest, and the fastest.
  const fastest = ranked([...sampled.values()]);
  const chosen = best === null ? [] : measured([best]);
  const finalists = [...new Set([...chosen, ...fastest])].slice(0, FINALISTS);
  for (let round = 0; round < FINAL_ROUNDS && finalists.length > 1; round += 1) {
    await sample(round % 2 === 0 ? finalists : finalists.toReversed());
  }
  return { winner: pick(finalists), trials: ranked([...sampled.values()]), complete };
}

/** The candidates on `axis` through `best`: if a value does not go with its depth, with a lower one. */
function lineThrough(grid: Grid, best: Candidate, axis: Axis): Candidate[] {
  const line = new Map<string, Candidate>();
  for (const value of grid[axis]) {
    const candidate = fit(grid, { ...best, [axis]: value });
    if (candidate !== null) line.set(keyOf(candidate), candidate);
  }
  return [...line.values()];
}

/** `wanted`, with as much of its depth as is allowed. */
function fit(grid: Grid, wanted: Candidate): Candidate | null {
  const depth = grid.depth.findLast((value) => value <= wanted.depth && grid.isAllowed({ ...wanted, depth: value }));
  return depth === undefined ? null : { ...wanted, depth };
}

/** The cheapest of those that tie with the fastest: fewer threads, then less row memory, then less in flight. */
function pick(trials: readonly Sampled[]): Sampled | null {
  const [fastest] = ranked(trials);
  if (fastest === undefined) return null;
  const enough = median(fastest.samples) * (1 - TIE);
  const ties = trials.filter(({ samples }) => median(samples) >= enough);
  return ties.toSorted((a, b) => a.threads - b.threads || bytesOf(a) - bytesOf(b) || a.depth - b.depth)[0] ?? null;
}

const ranked = (trials: readonly Sampled[]): Sampled[] =>
  trials.toSorted((a, b) => median(b.samples) - median(a.samples));

const bytesOf = ({ depth, rowBytes }: Candidate): number => depth * rowBytes;

const keyOf = ({ threads, depth, rowBytes }: Candidate): string => `${threads}/${depth}/${rowBytes}`;

/** The middle of `values`, or between the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  return (sorted[Math.ceil(middle) - 1]! + sorted[Math.floor(middle)]!) / 2;
}
