/**
 * Which file a program is run from. Set-up bundles the compiled programs (config/setup/bundle.mjs): a bundle loads in a
 * third of the time, and takes less memory. It is run only if it was made of what is compiled now; else the compiled code
 * itself is, so that a compiler alone is enough to try a change.
 *
 * Every start of a program loads this, so it loads nothing large itself.
 */
import { readFileSync, statSync } from 'node:fs';

/** The root of the checkout, from `src/` and from `dist/`. */
const root = new URL('../../../', import.meta.url);
const bundle = new URL('apps/cli/dist/bundle/', root);

/** The bundle's file of the program `name`, or `compiled` if there is none of what is compiled now. */
export function programFile(name: string, compiled: URL): string {
  return isCurrent() ? new URL(`${name}.cjs`, bundle).href : compiled.href;
}

function isCurrent(): boolean {
  try {
    const { madeOf } = JSON.parse(readFileSync(new URL('bundled.json', bundle), 'utf8')) as {
      madeOf: Record<string, number>;
    };
    return Object.entries(madeOf).every(([file, timeMs]) => statSync(new URL(file, root)).mtimeMs === timeMs);
  } catch {
    return false; // not bundled, or compiled in part
  }
}
