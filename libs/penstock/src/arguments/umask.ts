/** The umask of this process, read without changing it. */
import { readFileSync } from 'node:fs';

/**
 * process.umask() sets it to 0 for a moment to learn what it is, for all threads: a file that one of them makes then
 * would be open to everybody.
 */
export function umask(): number {
  const status = readFileSync('/proc/self/status', 'latin1');
  const octal = /^Umask:\s*([0-7]+)$/m.exec(status)?.[1];
  // Linux before 4.7 has no other way.
  return octal === undefined ? process.umask() : Number.parseInt(octal, 8);
}
