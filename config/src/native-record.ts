/** What set-up found on this machine and recorded: the Redis server and libaio may be below .cache. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The record; absent if set-up never ran. */
export const nativeFile: string = fileURLToPath(new URL('../../.cache/native.json', import.meta.url));

/** The libaio that set-up found; undefined leaves the search to the loader. */
export function readLibaio(): string | undefined {
  try {
    const record = JSON.parse(readFileSync(nativeFile, 'utf8')) as { libaio?: unknown };
    return typeof record.libaio === 'string' ? record.libaio : undefined;
  } catch {
    return undefined; // no record: the usual names are tried, then raw system calls
  }
}
