/** A file system on a disk that remembers every write and flush (recording-disk.mjs). As root only. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from '../support/loop-disk.fixture.ts';

// Compiled code lies one level deeper, below dist.
const here = import.meta.url.includes('/test/dist/') ? '../../power/' : './';
const server = fileURLToPath(new URL(`${here}recording-disk.mjs`, import.meta.url));

export class RecordedDisk {
  /** Where the file system is mounted. */
  readonly mount: string;
  readonly recordingPath: string;

  readonly #fuse: string;
  readonly #process: ChildProcess;
  #device = '';
  #isMounted = false;

  private constructor(home: string, child: ChildProcess) {
    this.#fuse = join(home, 'fuse');
    this.mount = join(home, 'mount');
    this.recordingPath = join(home, 'recording');
    this.#process = child;
  }

  /** A fresh file system, made by `make`, on a disk of `sizeBytes`; what it needs is kept in `home`. */
  static async open(home: string, make: readonly string[], sizeBytes: number, options: string): Promise<RecordedDisk> {
    const fuse = join(home, 'fuse');
    mkdirSync(fuse);
    mkdirSync(join(home, 'mount'));
    const child = fork(server, [fuse, String(sizeBytes), join(home, 'recording')], { execArgv: [] });
    const ended = once(child, 'exit').then(([code]) => Promise.reject(new Error(`the disk ended with ${code}`)));
    ended.catch(() => {}); // later on it is close() that waits for its end
    await Promise.race([once(child, 'message'), ended]);
    const disk = new RecordedDisk(home, child);
    try {
      disk.#device = run('losetup', '--find', '--show', join(fuse, 'disk')).trim();
      run(make[0]!, ...make.slice(1), disk.#device);
      run('mount', '-o', options, disk.#device, disk.mount);
      disk.#isMounted = true;
      return disk;
    } catch (error) {
      await disk.close();
      throw error;
    }
  }

  /** How many writes and flushes the disk has carried out. */
  get position(): number {
    return statSync(join(this.#fuse, 'position')).size;
  }

  /** Takes it all down but the recording. */
  async close(): Promise<void> {
    if (this.#isMounted) run('umount', this.mount);
    this.#isMounted = false;
    if (this.#device !== '') run('losetup', '--detach', this.#device);
    this.#device = '';
    const ended = once(this.#process, 'exit');
    run('umount', this.#fuse);
    await ended;
  }
}
