/**
 * Which processes use the server of a directory: each has one named pipe open for writing. The kernel counts them, and
 * closes it for a process that dies, so that no file that was left has to be judged stale. Nothing is ever written to it.
 *
 * The decision: libs/README.md#ends-with-its-last-user.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';

const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR } = constants;

/** One user's hold on the server. */
export class Use {
  /** The pipe's file; empty if none can be made: then a server lasts as long as its starter. */
  readonly path: string;
  #descriptor: number | null;

  private constructor(path: string, descriptor: number | null) {
    this.path = path;
    this.#descriptor = descriptor;
  }

  /** To be taken before the server is looked for: from then on no other user ends it. */
  static take(directory: string): Use {
    const path = join(directory, 'redis.users');
    const descriptor = openPipe(path) ?? makePipe(path);
    return new Use(descriptor === null ? '' : path, descriptor);
  }

  /**
   * Gives it up; true if no other process holds one, false if one does or that cannot be known. When repeated it does
   * nothing and returns false.
   */
  release(): boolean {
    const descriptor = this.#descriptor;
    if (descriptor === null) return false;
    this.#descriptor = null;
    let reader: number | null = null;
    try {
      reader = openSync(this.path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW);
    } catch {
      // the directory is gone: the shell at the pipe's other end stops the server
    }
    closeSync(descriptor);
    if (reader === null) return false;
    try {
      // The end of the file if no process has it open for writing; EAGAIN otherwise.
      return readSync(reader, Buffer.alloc(1)) === 0;
    } catch {
      return false;
    } finally {
      closeSync(reader);
    }
  }
}

/** Opened for reading too: that never waits for the other end. Null if there is no pipe. */
function openPipe(path: string): number | null {
  let descriptor: number;
  try {
    descriptor = openSync(path, O_RDWR | O_NONBLOCK | O_NOFOLLOW);
  } catch {
    return null;
  }
  if (fstatSync(descriptor).isFIFO()) return descriptor;
  closeSync(descriptor);
  return null;
}

/** By mkfifo(1), as Node cannot. It happens once in the life of a directory; another process may do so at the same time. */
function makePipe(path: string): number | null {
  spawnSync('mkfifo', ['-m', '600', path], { stdio: 'ignore' });
  return openPipe(path);
}
