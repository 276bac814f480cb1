/** The fetcher's thread, over the rings it fills: where it begins, what it reports, and that it ends. */
import { once } from 'node:events';
import { type IncomingMessage, type RequestListener, type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Arena, type ArenaMemory, RingConsumer, createArenaMemory, createRing } from '@penstock/matrix';
import { Fetcher } from './fetcher.ts';

const ROW_BYTES = 4096;
const ROW_COUNT = 4;

let memory: ArenaMemory;
let fetcher: Fetcher;
let deaths: Error[];
let server: Server;
let base: string;
let answer: RequestListener;
let asked: IncomingMessage[];

beforeEach(async () => {
  memory = createArenaMemory(2_097_152);
  deaths = [];
  asked = [];
  fetcher = new Fetcher({ urlAllow: ['127.0.0.1'], onThreadDeath: (error) => deaths.push(error) });
  server = createServer((request, response) => {
    asked.push(request);
    answer(request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
});
afterEach(async () => {
  await fetcher.close();
  server.closeAllConnections();
  server.close();
  await once(server, 'close');
  expect(deaths).toEqual([]);
});

/** The write's end of a ring: keeps what comes, row by row. */
class Reader {
  readonly ring: RingConsumer;
  readonly done: Promise<Buffer>;
  readonly #identity: string | null;
  readonly #parts: Buffer[] = [];
  #settle!: { resolve: (bytes: Buffer) => void; reject: (error: Error) => void };

  constructor(url: string, options: { size?: number; identity?: string } = {}) {
    const { inlet, outlet } = createRing([memory]);
    this.done = new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
    this.done.catch(() => {}); // awaited by the test, perhaps later
    this.ring = new RingConsumer(outlet, {
      arrived: () => this.#takeAll(),
      failed: (error) => this.#end(() => this.#settle.reject(error)),
      abandoned: () => this.#end(() => this.#settle.reject(new Error('abandoned'))),
    });
    this.#identity = options.identity ?? null;
    const source = { kind: 'url', url, redirects: 5, timeoutMs: 10_000 } as const;
    fetcher.fetch({ source, size: options.size, inlet });
  }

  open(offset = 0): this {
    this.ring.begin({ thread: 0, head: 0, align: 1, startAt: { offset, identity: this.#identity } });
    this.ring.grant({ start: 0, rowStride: ROW_BYTES, rowBytes: ROW_BYTES, rowCount: ROW_COUNT });
    this.#takeAll();
    return this;
  }

  #takeAll(): void {
    const { bytes } = new Arena(memory);
    for (let row = this.ring.take(); row !== -1; row = this.ring.take()) {
      this.#parts.push(Buffer.from(bytes.slice(row * ROW_BYTES, row * ROW_BYTES + this.ring.takenBytes)));
      this.ring.release(row);
    }
    if (this.ring.exhausted) this.#end(() => this.#settle.resolve(Buffer.concat(this.#parts)));
  }

  #end(settle: () => void): void {
    this.close();
    settle();
  }

  close(): void {
    if (!this.ring.close()) setTimeout(() => this.close());
  }
}

const bytesOf = (size: number): Buffer => Buffer.from(Array.from({ length: size }, (_, index) => (index * 7919) >>> 5));

function serve(bytes: Buffer, etag: string): RequestListener {
  return (request, response) => {
    const { range, 'if-range': ifRange } = request.headers;
    const from = Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0);
    if (from === 0 || ifRange !== etag) {
      response.writeHead(200, { etag, 'content-length': bytes.length }).end(bytes);
      return;
    }
    const contentRange = `bytes ${from}-${bytes.length - 1}/${bytes.length}`;
    response.writeHead(206, { etag, 'content-range': contentRange }).end(bytes.subarray(from));
  };
}

test('asks the server only when the write has its file, and fills its rows', async () => {
  const bytes = bytesOf(100_001);
  answer = serve(bytes, '"a"');
  const early = new Reader(base);
  expect((await new Reader(`${base}other`).open().done).equals(bytes)).toBe(true); // the thread runs by now
  expect(asked.map(({ url }) => url)).toEqual(['/other']);
  expect((await early.open().done).equals(bytes)).toBe(true);
  expect(early.ring.beginning()).toEqual({ offset: 0, totalBytes: 100_001, identity: 'etag "a"; 100001 bytes' });
});

test('begins where the write asks, and reports that it does', async () => {
  const bytes = bytesOf(100_001);
  answer = serve(bytes, '"a"');
  const reader = new Reader(base, { identity: 'etag "a"; 100001 bytes' }).open(40_960);
  expect((await reader.done).equals(bytes.subarray(40_960))).toBe(true);
  expect(reader.ring.beginning()).toEqual({ offset: 40_960, totalBytes: 100_001, identity: 'etag "a"; 100001 bytes' });
});

test('begins at 0, and reports that it does, if the server has other bytes by now', async () => {
  const bytes = bytesOf(100_001);
  answer = serve(bytes, '"b"');
  const reader = new Reader(base, { identity: 'etag "a"' }).open(40_960);
  expect((await reader.done).equals(bytes)).toBe(true);
  expect(reader.ring.beginning()).toEqual({ offset: 0, totalBytes: 100_001, identity: 'etag "b"; 100001 bytes' });
});

test('what it fails with reaches the write, fields and all', async () => {
  answer = (_request, response) => response.writeHead(503).end();
  await expect(new Reader(base).open().done).rejects.toMatchObject({
    name: 'FetchError',
    code: 'EHTTP',
    path: base,
    retryable: true,
  });
  await expect(new Reader('http://127.0.0.2/').open().done).rejects.toMatchObject({
    name: 'RequestError',
    field: 'source.url',
    retryable: false,
  });
  answer = serve(bytesOf(10), '"a"');
  await expect(new Reader(base, { size: 11 }).open().done).rejects.toMatchObject({ field: 'size', retryable: false });
});

test('a write that ends before its bytes are there ends the request', async () => {
  answer = (_request, response) => response.writeHead(200).write(bytesOf(50_000));
  const reader = new Reader(base).open();
  while (reader.ring.beginning() === null) await setImmediate();
  reader.close();
  const { socket } = asked[0]!;
  if (!socket.destroyed) await once(socket, 'close');
  const waiting = new Reader(base); // and one that never got its rows asks for nothing
  waiting.close();
  answer = serve(bytesOf(10), '"a"');
  await new Reader(base).open().done;
  expect(asked).toHaveLength(2);
});

test('a thread that died is replaced with the next url', async () => {
  await fetcher.close(); // nothing was started yet
  const died = new Promise<Error>((resolve) => {
    fetcher = new Fetcher({
      urlAllow: ['127.0.0.1'],
      entry: new URL('dying-fetcher.fixture.mjs', import.meta.url),
      onThreadDeath: resolve,
    });
  });
  answer = serve(bytesOf(10), '"a"');
  const lost = new Reader(`${base}die`).open();
  expect((await died).message).toBe('the fetcher dies here');
  await expect(lost.done).rejects.toMatchObject({
    message: expect.stringContaining('the fetcher dies here'),
    path: `${base}die`,
  });
  expect((await new Reader(base).open().done).equals(bytesOf(10))).toBe(true);
});
