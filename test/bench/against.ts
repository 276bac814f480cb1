/**
 * A case against itself in another build: `--against <checkout>`. Both builds' hosts run on this machine in one run, each
 * with a Redis and a directory of its own, and take turns, so that what a change costs is a ratio and not a memory.
 */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { System } from '../support/system.ts';
import type { BenchCase, PairedCase } from './case.ts';

const CASES = 'test/dist/bench/cases/index.js';
const SYSTEM = 'test/dist/support/system.js';
/** The same in builds of before November 2026. */
const SYSTEM_BEFORE = 'test/dist/system.js';

/** A build of another checkout. */
export interface OtherBuild {
  /** How the table names it. */
  name: string;
  cases: readonly BenchCase[];
  openSystem: () => Promise<System>;
}

/** Loads the bench of `checkout`. @throws (rejects) where there is no build */
export async function loadBuild(checkout: string): Promise<OtherBuild> {
  const isOlder = !existsSync(join(checkout, SYSTEM)) && existsSync(join(checkout, SYSTEM_BEFORE));
  const system = isOlder ? SYSTEM_BEFORE : SYSTEM;
  for (const file of [CASES, system]) {
    if (!existsSync(join(checkout, file))) {
      throw new Error(`--against ${checkout}: there is no ${file} in it. Run \`npm run build\` there first.`);
    }
  }
  const load = async (file: string): Promise<unknown> => import(pathToFileURL(join(checkout, file)).href);
  const { cases } = (await load(CASES)) as { cases: readonly BenchCase[] };
  const { System: OtherSystem } = (await load(system)) as { System: typeof System };
  return { name: `the build of ${commitOf(checkout)}`, cases, openSystem: () => OtherSystem.open() };
}

function commitOf(checkout: string): string {
  try {
    return execFileSync('git', ['-C', checkout, 'rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim();
  } catch {
    return checkout; // an unpacked archive
  }
}

/**
 * The same case with the other build's subject as its peer, and `ratioMin` as its target.
 * @throws where it has no rate, or the other build does not know it
 */
export function againstBuild(bench: BenchCase, other: OtherBuild, ratioMin: number): PairedCase {
  if (bench.kind !== 'paired') throw new Error(`${bench.name} measures no rate, so there is nothing to pair.`);
  const before = other.cases.find(({ name }) => name === bench.name);
  if (before?.kind !== 'paired') throw new Error(`${other.name} has no case ${bench.name}.`);
  return {
    ...bench,
    peer: other.name,
    target: { promise: 'a change keeps the speed', ratioMin, cpuRatioMax: null },
    async open(system, options) {
      const otherSystem = await other.openSystem();
      const closers: (() => Promise<void>)[] = [() => otherSystem.close()];
      const close = async (): Promise<void> => {
        for (const step of closers.toReversed()) await step();
      };
      try {
        const ours = await bench.open(system, options);
        closers.push(ours.close);
        const theirs = await before.open(otherSystem, options);
        closers.push(theirs.close);
        return { subject: ours.subject, peer: theirs.subject, close };
      } catch (error) {
        await close();
        throw error;
      }
    },
  };
}
