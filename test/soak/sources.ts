/** Where the bytes of a soak's writes come from: the same content by each kind of source. */
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { System } from '../support/system.ts';
import { writeContent } from './content.ts';
import { ContentServer } from './served.ts';
import { hostKnows } from './settings.ts';

/** Of a url: the server tells its size, the request does as well, or nobody does. */
export const SOURCE_KINDS = ['pattern', 'file', 'url', 'url-sized', 'url-unsized'] as const;
export type SourceKind = (typeof SOURCE_KINDS)[number];

export class ContentSources {
  readonly #directory: string;
  readonly #server: ContentServer;

  private constructor(directory: string, server: ContentServer) {
    this.#directory = directory;
    this.#server = server;
  }

  static async open(system: System): Promise<ContentSources> {
    const directory = join(system.home, 'sources');
    mkdirSync(directory);
    return new ContentSources(directory, await ContentServer.open());
  }

  /** What a host must be started with. */
  get hostOptions(): string[] {
    const options = ['--root', `sources=${this.#directory}:ro`];
    // Addresses of the machine itself are refused unless a host is told otherwise.
    if (hostKnows('--url-allow')) options.push('--url-allow', '127.0.0.1/32');
    return options;
  }

  /** What a request says to have `size` bytes of the content of `seed` written. */
  async request(kind: SourceKind, seed: number, size: number): Promise<{ size?: number; source: object }> {
    if (kind === 'pattern') return { size, source: { kind, pattern: 'random', seed } };
    if (kind === 'url-sized') return { size, source: { kind: 'url', url: this.#server.url(seed, size) } };
    if (kind === 'url' || kind === 'url-unsized') {
      return { source: { kind: 'url', url: this.#server.url(seed, size, kind === 'url') } };
    }
    return { source: { kind, root: 'sources', path: await this.#file(seed, size) } };
  }

  async #file(seed: number, size: number): Promise<string> {
    const name = `${seed}-${size}`;
    const path = join(this.#directory, name);
    if (!existsSync(path)) await writeContent(path, seed, size);
    return name;
  }

  async close(): Promise<void> {
    await this.#server.close();
  }
}

/** Why a host cannot write from a source of this kind, in its own words; null where it can. It is asked by a job. */
export async function refusalOf(system: System, sources: ContentSources, kind: SourceKind): Promise<string | null> {
  const name = `asked-${kind}`;
  const request = await sources.request(kind, 1, 4096);
  const end = await system.finished(await system.add({ path: name, ...request }));
  system.remove(name);
  return end.returnvalue === null ? (end.failedReason ?? 'it failed without a reason') : null;
}
