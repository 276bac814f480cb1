/**
 * Removes partial files that no write will go on with: those of writes that went to another host, or were cancelled or removed
 * while this one was gone. Some time after the start, and from then on while there are any, the queue is asked which of
 * their jobs are over.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import { IoError, formatBytes } from '@penstock/contract';
import type { PartOwner } from '@penstock/queue';
import type { LeftPartFate, PartRecord } from '@penstock/sink';
import type { RootConfig } from '@penstock/disk';
import { PartRecordFiles } from './records.ts';
import type { RemoverOrder } from './remover.ts';

/** A host that `penstock write` started for one write has ended by then. */
const FIRST_MS = 2000;
const EVERY_MS = 30_000;

export interface LeftPartsOptions {
  dataDirectory: string;
  /** The name of the host. */
  host: string;
  roots: readonly RootConfig[];
  /** Whether this host may take up jobs, in the order of their references. */
  judge(jobs: readonly string[]): Promise<PartOwner[]>;
  /**
   * False while a disk of this process does not answer: a process that is started then, a remover too, closes its copies
   * of what this one has open before it runs, FUSE and NFS wait for their server in that close, and the main thread for it.
   */
  mayStart(): boolean;
  /** Called with a line for the log about what was removed. */
  onRemoved(text: string): void;
  onError(error: unknown): void;
  /** For tests, in milliseconds. */
  firstMs?: number;
  everyMs?: number;
}

const keyOf = ({ rootPath, directory, name }: PartRecord): string => `${rootPath}\0${directory}\0${name}`;

/** The compiled entry of the remover; the same file from `src/` and from `dist/`. */
const removerEntry = new URL('../../dist/left-parts/remover.js', import.meta.url);

export class LeftParts {
  readonly #options: LeftPartsOptions;
  readonly #records: PartRecordFiles;
  /** Keys of records whose files are not there any more. */
  readonly #gone = new Set<string>();
  /** Keys of files that could not be removed: each is reported once, and the removal is repeated at each look. */
  readonly #reported = new Set<string>();
  /** By root. */
  readonly #removers = new Map<string, ChildProcess>();
  #timer: NodeJS.Timeout;
  #closed = false;

  /** @throws the error of the file system if the data directory cannot be used */
  constructor(options: LeftPartsOptions) {
    this.#options = options;
    this.#records = new PartRecordFiles(options.dataDirectory, options.host);
    this.#timer = this.#lookAfter(options.firstMs ?? FIRST_MS);
  }

  /** For the writer threads. */
  get files(): PartRecordFiles['files'] {
    return this.#records.files;
  }

  #lookAfter(ms: number): NodeJS.Timeout {
    return setTimeout(() => void this.#look(), ms).unref();
  }

  async #look(): Promise<void> {
    try {
      const left = this.#records.kept().filter((record) => !this.#gone.has(keyOf(record)));
      if (left.length > 0 && this.#options.mayStart()) await this.#removeOver(left);
    } catch (error) {
      this.#options.onError(error);
    }
    if (!this.#closed) this.#timer = this.#lookAfter(this.#options.everyMs ?? EVERY_MS);
  }

  async #removeOver(left: readonly PartRecord[]): Promise<void> {
    const owners = await this.#options.judge(left.map(({ job }) => job));
    const over = left.filter((_record, index) => owners[index] === 'over');
    const byRoot = new Map<string, PartRecord[]>();
    for (const record of over) byRoot.set(record.rootPath, [...(byRoot.get(record.rootPath) ?? []), record]);
    // Not awaited: a remover that hangs is left alone until it answers, and the next look passes its root over.
    for (const [rootPath, records] of byRoot) void this.#removeIn(rootPath, records);
  }

  async #removeIn(rootPath: string, records: PartRecord[]): Promise<void> {
    // The records have '' for '/'.
    const root = this.#options.roots.find(({ path, writable }) => writable && (path === '/' ? '' : path) === rootPath);
    if (root === undefined || this.#removers.has(rootPath) || this.#closed || !this.#options.mayStart()) return;
    try {
      const remover = fork(removerEntry, { execArgv: [], stdio: 'ignore' });
      this.#removers.set(rootPath, remover);
      remover.unref();
      remover.channel?.unref();
      const fates = await fatesBy(remover, { root, records });
      if (fates !== null) this.#report(root, records, fates);
    } catch (error) {
      this.#options.onError(error);
    } finally {
      this.#removers.delete(rootPath);
    }
  }

  #report({ name: rootName, path }: RootConfig, records: readonly PartRecord[], fates: readonly LeftPartFate[]): void {
    let bytes = 0;
    const removed: string[] = [];
    for (const [index, fate] of fates.entries()) {
      const record = records[index]!;
      const file = join(path, record.directory, record.name);
      if (fate.kind === 'failed') {
        if (this.#reported.has(keyOf(record))) continue;
        this.#reported.add(keyOf(record));
        this.#options.onError(new IoError({ syscall: 'unlinkat', errno: fate.errno, path: file }));
        continue;
      }
      if (fate.kind === 'written') continue; // it is asked for again
      this.#gone.add(keyOf(record));
      if (fate.kind === 'gone') continue;
      bytes += fate.bytes;
      removed.push(file);
    }
    if (removed.length === 0) return;
    const files = removed.length === 1 ? 'a partial file' : `${removed.length} partial files`;
    this.#options.onRemoved(
      `removed ${files} (${formatBytes(bytes)}) on root ${rootName} that no job goes on with: ${removed[0]}${removed.length > 1 ? ', …' : ''}`,
    );
  }

  /** After the last write. What is still to be removed is left to the next host of this data directory. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    for (const remover of this.#removers.values()) remover.kill('SIGKILL');
    this.#records.close((record) => this.#gone.has(keyOf(record)));
  }
}

/**
 * What became of the records of `order`, once `remover` has ended; null if it ended without an answer.
 * @throws (rejects with) what kept it from being started, such as EMFILE
 */
function fatesBy(remover: ChildProcess, order: RemoverOrder): Promise<LeftPartFate[] | null> {
  return new Promise((resolve, reject) => {
    let fates: LeftPartFate[] | null = null;
    remover.once('message', (answer) => {
      fates = answer as LeftPartFate[];
    });
    remover.on('error', reject);
    remover.once('close', () => resolve(fates)); // 'exit' may come before the answer
    if (remover.connected) remover.send(order); // else it could not be started, and 'error' follows
  });
}
