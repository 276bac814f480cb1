/**
 * A file system on a disk whose speed and failures a test sets while it runs (settable-disk.mjs). As root only.
 *
 * A test's own process must not wait for such a disk without an end: what it does there by synchronous calls of fs stands
 * still with the disk, and so does whatever would thaw it.
 */
import { type ChildProcess, execFile, fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { has, mayMount } from '../support/loop-disk.fixture.ts';

// Compiled code lies one level deeper, below dist.
const here = import.meta.url.includes('/test/dist/') ? '../../disks/' : './';
const server = fileURLToPath(new URL(`${here}settable-disk.mjs`, import.meta.url));
const execute = promisify(execFile);

/** What a command may take on a disk that answers at once, on a machine with much else to do. */
const COMMAND_MS_MAX = 60_000;

/** Its inode tables are written now: the kernel would do so later, at the disk's expense. */
const MAKE_EXT4: readonly string[] = 'mkfs.ext4 -q -F -m 0 -E lazy_itable_init=0,lazy_journal_init=0,nodiscard'.split(
  ' ',
);

/** Why no such disk can be made here, to be said in a skipped test's name; '' where it can. */
export function whyNoDisk(make: readonly string[] = MAKE_EXT4): string {
  if (!mayMount()) return ' (skipped: only root may mount, and needs loop devices)';
  if (!existsSync('/dev/fuse')) return ' (skipped: there is no /dev/fuse)';
  return has(make[0]!) ? '' : ` (skipped: ${make[0]} is not installed)`;
}

export interface DiskFigures {
  bytesWritten: number;
  bytesRead: number;
  flushes: number;
  /** Requests that the disk has and has not answered. The loop device sends it one or a few at a time. */
  waiting: number;
}

export interface DiskOptions {
  /** 268,435,456 by default; only what is written takes up memory. */
  sizeBytes?: number;
  /** The command that makes the file system; the device is its last argument. */
  make?: readonly string[];
  /** Of mount(8). */
  mountOptions?: string;
}

/** An errno of os.constants, or null for none. */
type Failure = 'EIO' | 'ENOSPC' | 'ENODEV' | null;

export class SettableDisk {
  /** Where its file system is mounted. */
  readonly mount: string;
  /** The loop device. */
  device = '';
  readonly #home: string;
  readonly #fuse: string;
  readonly #process: ChildProcess;
  #orders = 0;

  private constructor(home: string, child: ChildProcess) {
    this.#home = home;
    this.#fuse = join(home, 'fuse');
    this.mount = join(home, 'mount');
    this.#process = child;
    child.setMaxListeners(0);
  }

  /** A fresh file system on a disk as fast as memory. What it needs is kept in a directory of its own below `home`. */
  static async make(home: string, options: DiskOptions = {}): Promise<SettableDisk> {
    const { sizeBytes = 268_435_456, make = MAKE_EXT4, mountOptions = 'defaults' } = options;
    const place = mkdtempSync(join(home, 'settable-disk-'));
    for (const name of ['fuse', 'mount']) mkdirSync(join(place, name));
    // Of a process group of its own: what ends a test's processes must not end it before the disk is unmounted.
    const child = fork(server, [join(place, 'fuse'), String(sizeBytes)], { execArgv: [], detached: true });
    const ended = once(child, 'exit').then(([code]) => Promise.reject(new Error(`the disk ended with ${code}`)));
    ended.catch(() => {}); // later on it is close() that waits for its end
    await Promise.race([once(child, 'message'), ended]);
    const disk = new SettableDisk(place, child);
    try {
      const { stdout } = await command('losetup', '--find', '--show', join(disk.#fuse, 'disk'));
      disk.device = stdout.trim();
      const undo = `umount -l '${disk.mount}'; losetup --detach ${disk.device}`;
      await disk.#order({}, undo);
      await command(make[0]!, ...make.slice(1), disk.device);
      await command('mount', '-o', mountOptions, disk.device, disk.mount);
      return disk;
    } catch (error) {
      await disk.close();
      throw error;
    }
  }

  /** Bytes a second of reads and writes together; null: no limit. Also of what waits already. */
  async setRate(bytesPerSecond: number | null): Promise<void> {
    await this.#order({ bytesPerSecond });
  }

  /** From now on nothing is answered: whoever waits for the disk waits in a sleep that no signal ends. */
  async freeze(): Promise<void> {
    await this.#order({ isFrozen: true });
  }

  /** Answers what waits, and goes on. */
  async thaw(): Promise<void> {
    await this.#order({ isFrozen: false });
  }

  /** Fails what comes to its turn from now on; what is not named is carried out again. */
  async fail({
    read = null,
    write = null,
    flush = null,
  }: {
    read?: Failure;
    write?: Failure;
    flush?: Failure;
  }): Promise<void> {
    const errnoOf = (failure: Failure): number => (failure === null ? 0 : constants.errno[failure]);
    await this.#order({ errno: { read: errnoOf(read), write: errnoOf(write), flush: errnoOf(flush) } });
  }

  async figures(): Promise<DiskFigures> {
    return this.#order({});
  }

  /** Unmounts it and mounts it again: what the kernel remembers of its files is forgotten, and asked of the disk. */
  async forget(): Promise<void> {
    await this.#insist('umount', this.mount);
    await command('mount', this.device, this.mount);
  }

  /** As if this process had ended without closing it. */
  abandon(): void {
    this.#process.disconnect();
  }

  /** Makes it an ordinary disk again, unmounts it and takes it all down, also if something of it is still in use. */
  async close(): Promise<void> {
    const ended = this.#process.exitCode === null ? once(this.#process, 'exit') : Promise.resolve();
    await this.#order({
      bytesPerSecond: null,
      isFrozen: false,
      errno: { read: 0, write: 0, flush: 0 },
    }).catch(() => {}); // it has ended
    // What was just thawed may still be at its last calls.
    await this.#insist('umount', this.mount);
    if (this.device !== '') await this.#insist('losetup', '--detach', this.device);
    await this.#insist('umount', this.#fuse);
    // The end of who serves a file system of FUSE aborts all that waits for it.
    if ((await Promise.race([ended, setTimeout(10_000, null, { ref: false })])) === null) this.#process.kill('SIGKILL');
    await ended;
  }

  async #insist(name: string, ...args: string[]): Promise<void> {
    for (let tries = 0; ; tries += 1) {
      try {
        await command(name, ...args);
        return;
      } catch (error) {
        const said = (error as { stderr?: string }).stderr ?? '';
        if (/not mounted|no mount point|No such device/.test(said)) return;
        if (tries < 20) await setTimeout(100);
        else if (name === 'umount' && !args.includes('-l')) args.unshift('-l');
        else throw error;
      }
    }
  }

  async #order(set: object, undo?: string): Promise<DiskFigures> {
    const id = (this.#orders += 1);
    return new Promise((resolve, reject) => {
      const gone = (): void => reject(new Error(`the disk of ${this.#home} has ended`));
      if (!this.#process.connected) return gone();
      const hear = (answer: DiskFigures & { id: number }): void => {
        if (answer.id !== id) return;
        this.#process.off('message', hear);
        this.#process.off('exit', gone);
        resolve(answer);
      };
      this.#process.on('message', hear);
      this.#process.once('exit', gone);
      this.#process.send({ id, set, ...(undo === undefined ? {} : { undo }) });
    });
  }
}

const command = (name: string, ...args: string[]): Promise<{ stdout: string }> =>
  execute(name, args, { timeout: COMMAND_MS_MAX, killSignal: 'SIGKILL' });
