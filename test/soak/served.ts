/** The web server that a soak's url sources are fetched from: any seed's content, with Range, If-Range and ETag. */
import { once } from 'node:events';
import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { contentPieces } from './content.ts';

export class ContentServer {
  readonly #server: Server;
  /** The answers that were begun at another byte than the first. */
  ranged = 0;

  private constructor() {
    this.#server = createServer((request, response) => void this.#answer(request, response));
  }

  static async open(): Promise<ContentServer> {
    const served = new ContentServer();
    served.#server.listen(0, '127.0.0.1');
    await once(served.#server, 'listening');
    return served;
  }

  /** Where `size` bytes of the content of `seed` are to be had; unless `told`, the answer says no length. */
  url(seed: number, size: number, told: boolean = true): string {
    const { port } = this.#server.address() as AddressInfo;
    return `http://127.0.0.1:${port}/${seed}/${size}${told ? '' : '/chunked'}`;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [, ...named] = /^\/(\d+)\/(\d+)(\/chunked)?$/.exec(request.url ?? '') ?? [];
    const [seed, size] = named.slice(0, 2).map(Number);
    if (seed === undefined || size === undefined) {
      response.writeHead(404).end();
      return;
    }
    const etag = `"${seed}-${size}"`;
    const condition = request.headers['if-range'];
    const asked = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
    const partial = asked !== null && (condition === undefined || condition === etag);
    const start = partial ? Number(asked[1]) : 0;
    const end = partial && asked[2] !== '' ? Math.min(size, Number(asked[2]) + 1) : size;
    const headers = { 'accept-ranges': 'bytes', etag, 'content-type': 'application/octet-stream' };
    if (start >= end && size > 0) {
      response.writeHead(416, { ...headers, 'content-range': `bytes */${size}` }).end();
      return;
    }
    if (start > 0) this.ranged += 1;
    const range = partial ? { 'content-range': `bytes ${start}-${end - 1}/${size}` } : {};
    const length = named[2] === undefined ? { 'content-length': end - start } : {};
    response.writeHead(partial ? 206 : 200, { ...headers, ...range, ...length });
    if (request.method === 'HEAD') response.end();
    // A host that is killed while it reads is what the soak is about.
    else await pipeline(Readable.from(contentPieces(seed, start, end)), response).catch(() => {});
  }

  async close(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }
}
