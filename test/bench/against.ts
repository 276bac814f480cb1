/**
 * A case against itself in another build: `--against <checkout>`, `--compare <commit>`. The case is this checkout's; the
 * hosts and commands are each build's own, with a Redis and a directory of their own. Both run on this machine in one
 * run, in turns, so that what a change costs is a ratio and not a memory.
 */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { type Build, System, buildIn } from '../support/system.ts';
import type { BenchCase, PairedCase } from './case.ts';
import type { RatioTarget } from './targets.ts';

/** A build of another checkout. */
export interface OtherBuild {
  /** How the table names it. */
  name: string;
  build: Build;
}

/** The build in `checkout`, of `commit` if git does not report it there. @throws if there is none */
export function builtCheckout(checkout: string, commit: string = commitOf(checkout)): OtherBuild {
  const build = buildIn(checkout);
  for (const file of Object.values(build)) {
    if (!existsSync(file)) throw new Error(`${checkout}: there is no ${file}. Run \`npm run build\` there first.`);
  }
  return { name: `the build of ${commit}`, build };
}

function commitOf(checkout: string): string {
  try {
    const asked = ['-C', checkout, 'rev-parse', '--short', 'HEAD'];
    return execFileSync('git', asked, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return checkout; // an unpacked archive
  }
}

/** The same case with the other build's subject as its peer. @throws if it has no rate */
export function againstBuild(bench: BenchCase, { name, build }: OtherBuild, target: RatioTarget): PairedCase {
  if (bench.kind !== 'paired') throw new Error(`${bench.name} measures no rate, so there is nothing to pair.`);
  return {
    ...bench,
    peer: name,
    target,
    async open(system, options) {
      const otherSystem = await System.open(build);
      const closers: (() => Promise<void>)[] = [() => otherSystem.close()];
      const close = async (): Promise<void> => {
        for (const step of closers.toReversed()) await step();
      };
      try {
        const ours = await bench.open(system, options);
        closers.push(ours.close);
        const theirs = await bench.open(otherSystem, options);
        closers.push(theirs.close);
        return { subject: ours.subject, peer: theirs.subject, close };
      } catch (error) {
        await close();
        throw error;
      }
    },
  };
}
