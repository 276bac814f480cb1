/**
 * Refuses arguments and settings that are not UTF-8. The kernel has them as bytes; Node gives a program text, with
 * U+FFFD for what is no UTF-8, by which a command would write, read or remove a file of another name, and succeed.
 *
 * Every start of the command line loads this, so it loads nothing large itself.
 */
import { isUtf8 } from 'node:buffer';
import { readFileSync } from 'node:fs';

/** What Node puts in place of bytes that are no UTF-8. */
const REPLACED = '\uFFFD';
/** Settings of the environment that name files and hosts. */
const SETTINGS = /^(?:PENSTOCK_\w+|REDIS_SERVER|XDG_DATA_HOME|HOME)=/;

/** An argument or a setting that is no text. Nothing was begun. */
class NoTextError extends Error {
  override readonly name = 'UsageError';
  readonly code = 'EUSAGE';
  readonly retryable = false;
}

/** @throws NoTextError naming the first argument of this process, or setting of its environment, that is not UTF-8 */
export function assertUtf8Arguments(args: readonly string[], env: NodeJS.ProcessEnv): void {
  const given = bytesOfProcess('cmdline').slice(-args.length);
  const isOurs = given.length === args.length && args.every((text, index) => given[index]!.toString() === text);
  // npm and npx are programs of Node too: what they pass on has been replaced before, and is UTF-8 by now.
  const isPassedOn = env['npm_command'] !== undefined;
  for (const [index, text] of args.entries()) {
    if (!text.includes(REPLACED)) continue;
    const bytes = isOurs ? given[index]! : Buffer.from(text);
    if (isUtf8(bytes) && isOurs && !isPassedOn) continue; // that very character was meant
    throw new NoTextError(
      `argument ${index + 1}, ${shown(bytes)}, is not UTF-8, and would name something else: ${ADVICE}`,
    );
  }
  for (const bytes of bytesOfProcess('environ')) {
    const [name = ''] = bytes.toString('latin1').split('=', 1);
    if (isUtf8(bytes) || !SETTINGS.test(`${name}=`)) continue;
    throw new NoTextError(
      `${name} is not UTF-8, ${shown(bytes.subarray(name.length + 1))}, and would name something else: ${ADVICE}`,
    );
  }
}

const ADVICE = 'give a name that is';

/** The strings that the process was started with; none if /proc is missing. */
function bytesOfProcess(file: 'cmdline' | 'environ'): Buffer[] {
  let all: Buffer;
  try {
    all = readFileSync(`/proc/self/${file}`);
  } catch {
    return []; // without /proc nothing of this is known
  }
  const strings: Buffer[] = [];
  for (let start = 0; start < all.length;) {
    const end = all.indexOf(0, start);
    strings.push(all.subarray(start, end < 0 ? all.length : end));
    start = end < 0 ? all.length : end + 1;
  }
  return strings;
}

/** Each byte that is not printable ASCII by its number. */
const shown = (bytes: Buffer): string =>
  `"${bytes
    .toString('latin1')
    .replaceAll(/[^ -~]/g, (byte) => `\\x${byte.charCodeAt(0).toString(16).padStart(2, '0')}`)}"`;
