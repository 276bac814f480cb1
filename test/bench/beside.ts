/** Plain JavaScript of the bench lies beside its source; compiled code lies below test/dist. */
import { fileURLToPath } from 'node:url';

/** The path of `name` in test/bench. */
export function besideBench(name: string): string {
  const here = import.meta.url.includes('/test/dist/') ? '../../bench/' : './';
  return fileURLToPath(new URL(here + name, import.meta.url));
}
