/** Whether a thread that does not turn is inside a system call, or computes without an end. */
import { readFileSync } from 'node:fs';

/** futex and the epoll waits: in these a thread rests, and hangs in no file system. */
const RESTING_CALLS: ReadonlySet<string> = new Set(
  process.arch === 'arm64' ? ['98', '22', '441'] : ['202', '232', '281', '441'],
);

/**
 * True if the thread of this process with the kernel's id `taskId` is inside a call that a file system may hold up:
 * terminating it would not end it before the call returns. Also if that cannot be found out.
 */
export function isInCall(taskId: number): boolean {
  try {
    const [call = ''] = readFileSync(`/proc/self/task/${taskId}/syscall`, 'latin1').trim().split(' ');
    return call !== 'running' && !RESTING_CALLS.has(call);
  } catch {
    return true;
  }
}
