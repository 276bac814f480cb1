/** Fetches from real HTTP and HTTPS servers on this machine, which are let through as the host's setting would. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type IncomingMessage, type RequestListener, type Server, type ServerResponse, createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { toWire } from '@penstock/contract';
import { AddressPolicy } from './addresses.ts';
import type { Destination, FetchAnswer, FetchStart } from './destination.ts';
import { fetchInto } from './fetch.ts';
import type { FetchMeans, FetchOrder } from './order.ts';

const EDGE_SIZES = [0, 1, 511, 512, 4095, 4096, 4097, 65_535, 65_536, 65_537, 1_048_575, 1_048_577, 5_000_003];
const FROM_ZERO: FetchStart = { offset: 0, identity: null };

let means: FetchMeans;
let server: Server;
let base: string;
let answer: RequestListener;
/** What the server was asked, in order. */
let asked: IncomingMessage[];

beforeEach(async () => {
  asked = [];
  means = { policy: new AddressPolicy(['127.0.0.1']) };
  server = createServer((request, response) => {
    asked.push(request);
    answer(request, response);
  });
  base = await listen(server);
});
afterEach(async () => {
  await close(server);
});

async function listen(listening: Server): Promise<string> {
  listening.listen(0, '127.0.0.1');
  await once(listening, 'listening');
  return `http://127.0.0.1:${(listening.address() as AddressInfo).port}`;
}

async function close(listening: Server): Promise<void> {
  listening.closeAllConnections();
  listening.close();
  await once(listening, 'close');
}

function bytesOf(size: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(size);
  let word = seed;
  for (let index = 0; index < size; index += 1) {
    word = (Math.imul(word, 1_664_525) + 1_013_904_223) | 0;
    bytes[index] = word >>> 24;
  }
  return bytes;
}
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Keeps what it gets; with a `capacity` it is emptied only on the next turn of the event loop. */
class Basin implements Destination {
  answer: FetchAnswer | null = null;
  begun = 0;
  waits = 0;
  readonly #capacity: number;
  readonly #parts: Buffer[] = [];
  #filled = 0;

  constructor(capacity = Number.POSITIVE_INFINITY) {
    this.#capacity = capacity;
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#parts);
  }

  begin(given: FetchAnswer): void {
    this.answer = given;
    this.begun += 1;
  }

  push(bytes: Uint8Array): number {
    const taken = Math.min(bytes.length, this.#capacity - this.#filled);
    this.#parts.push(Buffer.from(bytes.subarray(0, taken)));
    this.#filled += taken;
    return taken;
  }

  async room(): Promise<void> {
    this.waits += 1;
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    this.#filled = 0;
  }
}

interface Options extends Partial<FetchOrder> {
  start?: FetchStart;
  into?: Basin;
  signal?: AbortSignal;
}

async function fetch(path: string, options: Options = {}): Promise<Basin> {
  const { start = FROM_ZERO, into = new Basin(), signal = new AbortController().signal, ...rest } = options;
  const order = { url: path.startsWith('/') ? base + path : path, redirects: 5, timeoutMs: 60_000, ...rest };
  const answered = await fetchInto(order, start, into, means, signal);
  expect(answered).toEqual(into.answer);
  expect(into.begun).toBe(1);
  return into;
}

/** How it failed, as it crosses threads. */
async function failureOf(fetching: Promise<unknown>): Promise<Record<string, unknown>> {
  try {
    await fetching;
  } catch (error) {
    return { ...toWire(error) };
  }
  throw new Error('the fetch was expected to fail');
}

/** Answers with `bytes` and what ranges ask for, as a file server does. */
function serve(bytes: Buffer, headers: Record<string, string>): RequestListener {
  return (request, response) => {
    const { range, 'if-range': ifRange } = request.headers;
    const same = ifRange === undefined || ifRange === headers['etag'] || ifRange === headers['last-modified'];
    const from = Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? Number.NaN);
    if (Number.isNaN(from) || !same) {
      response.writeHead(200, { 'content-length': bytes.length, ...headers }).end(bytes);
    } else if (from >= bytes.length) {
      response.writeHead(416, { 'content-range': `bytes */${bytes.length}` }).end();
    } else {
      const contentRange = `bytes ${from}-${bytes.length - 1}/${bytes.length}`;
      const part = bytes.subarray(from);
      response.writeHead(206, { 'content-length': part.length, 'content-range': contentRange, ...headers }).end(part);
    }
  };
}

/** Sends `bytes` in chunks of odd sizes, without a length. */
async function sendChunked(response: ServerResponse, bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length; at += 77_777) {
    if (!response.write(bytes.subarray(at, at + 77_777))) await once(response, 'drain');
  }
  response.end();
}

// ------------------------------------------------------------------------------------------------------- whole files

test('has exactly the bytes of the server, at every edge size, also if there is little room', async () => {
  for (const size of EDGE_SIZES) {
    const bytes = bytesOf(size);
    answer = serve(bytes, { etag: '"a"' });
    for (const capacity of [Number.POSITIVE_INFINITY, 10_007]) {
      const got = await fetch('/file', { into: new Basin(capacity) });
      expect(sha256(got.bytes)).toBe(sha256(bytes));
      expect(got.answer).toEqual({ offset: 0, totalBytes: size, identity: `etag "a"; ${size} bytes` });
    }
  }
  expect(asked[0]!.headers).toMatchObject({ 'accept-encoding': 'identity' });
  expect(asked[0]!.headers.range).toBeUndefined();
});

test('has all of an answer that comes in chunks and has no length', async () => {
  for (const size of [1, 77_777, 3_000_001]) {
    const bytes = bytesOf(size);
    answer = (_request, response) => void sendChunked(response, bytes);
    const got = await fetch('/chunked', { into: new Basin(50_000) });
    expect(sha256(got.bytes)).toBe(sha256(bytes));
    expect(got.answer).toEqual({ offset: 0, totalBytes: null, identity: null });
    expect(sha256((await fetch('/chunked', { size })).bytes)).toBe(sha256(bytes));
  }
});

test('ten urls at once each get their own bytes', async () => {
  answer = (request, response) => void sendChunked(response, bytesOf(1_000_000, Number(request.url!.slice(1))));
  const all = await Promise.all(
    Array.from({ length: 10 }, (_, index) => fetch(`/${index}`, { into: new Basin(30_000 + index) })),
  );
  for (const [index, got] of all.entries()) expect(sha256(got.bytes)).toBe(sha256(bytesOf(1_000_000, index)));
});

test("reads no further while there is no room, and the time of waiting for it is not the server's", async () => {
  const bytes = bytesOf(1_000_000);
  answer = serve(bytes, {});
  class Slow extends Basin {
    override async room(): Promise<void> {
      if (this.waits === 0) await new Promise((resolve) => void setTimeout(resolve, 1500));
      await super.room();
    }
  }
  const into = new Slow(100_000);
  await fetch('/file', { into, timeoutMs: 500 }); // less than was waited, and more than a busy machine stands still
  expect(into.waits).toBeGreaterThan(5);
  expect(sha256(into.bytes)).toBe(sha256(bytes));
});

// -------------------------------------------------------------------------------------------------------- redirects

test('follows as many redirects as it may, relative ones too, and none beyond', async () => {
  answer = (request, response) => {
    const left = Number(request.url!.slice(1));
    if (left === 0) response.end('there');
    else response.writeHead([301, 302, 303, 307, 308][left % 5]!, { location: `/${left - 1}` }).end('moved');
  };
  expect((await fetch('/5')).bytes.toString()).toBe('there');
  expect(asked).toHaveLength(6);
  expect((await fetch('/0', { redirects: 0 })).bytes.toString()).toBe('there');
  expect(await failureOf(fetch('/6'))).toMatchObject({
    code: 'EHTTP',
    message: expect.stringContaining('more than 5 times'),
    retryable: false,
  });
});

test('a chain of redirects without an end is left', async () => {
  answer = (_request, response) => response.writeHead(302, { location: '/again' }).end();
  expect(await failureOf(fetch('/', { redirects: 20 }))).toMatchObject({ code: 'EHTTP', retryable: false });
  expect(asked).toHaveLength(21);
});

test.each([
  'http://127.0.0.2/secret',
  'http://[::1]/secret',
  'http://169.254.169.254/latest/meta-data/',
  'http://10.0.0.1/',
  'http://0x7f000002/',
  'http://localhost:1/', // a name, refused once it is resolved
])('a redirect to an address that is not public is refused, and named: %s', async (location) => {
  means = { policy: new AddressPolicy(['127.0.0.1/32']) };
  if (location.includes('localhost')) means = { policy: new ResolvesToLoopback(['127.0.0.1/32']) };
  answer = (_request, response) => response.writeHead(302, { location }).end();
  const failure = await failureOf(fetch('/start'));
  expect(failure).toMatchObject({ name: 'RequestError', code: 'EBADREQUEST', field: 'source.url', retryable: false });
  expect(failure['message']).toMatch(/redirects to 'http:.*leads to \S+, which is (loopback|link-local|private)/);
  expect(failure['message']).toContain('--url-allow');
});

/** Lets 127.0.0.1 be connected to by its number, and no name. */
class ResolvesToLoopback extends AddressPolicy {
  override fault(address: string, name: string): string | null {
    return name === address ? super.fault(address, name) : new AddressPolicy().fault(address, name);
  }
}

test('a url that itself leads to an address that is not public is refused before anything is sent', async () => {
  means = { policy: new AddressPolicy() };
  answer = (_request, response) => response.end('secret');
  for (const url of [base, base.replace('127.0.0.1', 'localhost'), base.replace('127.0.0.1', '2130706433')]) {
    const failure = await failureOf(fetch(url));
    expect(failure).toMatchObject({ code: 'EBADREQUEST', field: 'source.url', retryable: false });
    expect(failure['message']).toMatch(/it leads to (127\.0\.0\.1|::1), which is loopback/);
  }
  expect(asked).toEqual([]);
});

test.each([
  ['ftp://127.0.0.1/x', /redirects to ftp:/],
  ['file:///etc/passwd', /redirects to file:/],
  ['http://user:secret@127.0.0.1/', /user or a password/],
  ['http://[', /That is no url/],
])('a redirect to %s is not followed', async (location, message) => {
  answer = (_request, response) => response.writeHead(302, { location }).end();
  const failure = await failureOf(fetch('/'));
  expect(failure).toMatchObject({ code: 'EHTTP', message: expect.stringMatching(message), retryable: false });
  expect(failure['message']).not.toContain('secret');
});

// ---------------------------------------------------------------------------------------------- answers that are none

test.each([
  [202, true],
  [204, false],
  [400, false],
  [401, false],
  [403, false],
  [404, false],
  [408, true],
  [410, false],
  [425, true],
  [429, true],
  [500, true],
  [502, true],
  [503, true],
  [304, false],
  [206, false],
  [302, false], // without a place to go
])('status %i is reported with the url, retryable: %s', async (status, retryable) => {
  answer = (_request, response) =>
    response.writeHead(status, { 'content-length': status === 204 || status === 304 ? 0 : 5 }).end();
  const failure = await failureOf(fetch('/file?x=1'));
  expect(failure).toMatchObject({
    name: 'FetchError',
    code: 'EHTTP',
    syscall: 'GET',
    path: `${base}/file?x=1`,
    retryable,
  });
  expect(failure['message']).toContain(`${status}`);
});

test('an answer in an encoding is refused: nothing is decoded', async () => {
  answer = (_request, response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end('...');
  expect(await failureOf(fetch('/'))).toMatchObject({ message: expect.stringContaining('gzip'), retryable: false });
  answer = (_request, response) => response.writeHead(200, { 'content-encoding': 'identity' }).end('plain');
  expect((await fetch('/')).bytes.toString()).toBe('plain');
  // Node's own server would not: one that compresses on the way, though nothing asked it to.
  for (const coding of ['gzip', 'gzip, chunked']) {
    answer = (_request, { socket }) =>
      socket?.end(`HTTP/1.1 200 OK\r\ntransfer-encoding: ${coding}\r\n\r\n3\r\n...\r\n0\r\n\r\n`);
    expect(await failureOf(fetch('/'))).toMatchObject({ message: expect.stringContaining('gzip'), retryable: false });
  }
});

test('another size than was asked for is refused, with both', async () => {
  answer = serve(bytesOf(1000), {});
  for (const size of [0, 999, 1001]) {
    const failure = await failureOf(fetch('/', { size }));
    expect(failure).toMatchObject({ code: 'EBADREQUEST', field: 'size', retryable: false });
    expect(failure['message']).toMatch(new RegExp(`${size}.*1000 bytes`));
  }
  answer = (_request, response) => void sendChunked(response, bytesOf(1000));
  expect(await failureOf(fetch('/', { size: 999 }))).toMatchObject({ field: 'size', retryable: false });
  // Without a length it cannot be known whether the answer is shorter or was cut short.
  expect(await failureOf(fetch('/', { size: 1001 }))).toMatchObject({ code: 'EHTTP', offset: 1000, retryable: true });
});

test('a server that sends nothing, or stops amid its answer, is given up in its time', async () => {
  answer = () => {};
  const silent = await failureOf(fetch('/', { timeoutMs: 100 }));
  expect(silent).toMatchObject({ code: 'ETIMEDOUT', retryable: true, offset: 0 });
  answer = (_request, response) => {
    response.writeHead(200, { 'content-length': 100 });
    response.write('half');
  };
  const stopped = await failureOf(fetch('/', { timeoutMs: 100 }));
  expect(stopped).toMatchObject({ code: 'ETIMEDOUT', retryable: true, offset: 4, path: `${base}/` });
  expect(stopped['message']).toContain('100 ms');
});

test('a server that is slow and steady is not given up', async () => {
  answer = (_request, response) => {
    response.writeHead(200, { 'content-length': 8 });
    let left = 8;
    const timer = setInterval(() => {
      response.write('x');
      if ((left -= 1) === 0) clearInterval(timer);
    }, 100);
  };
  expect((await fetch('/', { timeoutMs: 500 })).bytes.toString()).toBe('xxxxxxxx');
});

test('a server that dies amid its answer fails the fetch as retryable, and the next has all of it', async () => {
  const bytes = bytesOf(500_000);
  for (const chunked of [false, true]) {
    answer = (_request, response) => {
      response.writeHead(200, chunked ? {} : { 'content-length': bytes.length });
      response.write(bytes.subarray(0, 100_000), () => response.destroy());
    };
    const into = new Basin();
    const failure = await failureOf(fetch('/', { into }));
    expect(failure).toMatchObject({ code: 'ECONNRESET', retryable: true, syscall: 'GET' });
    expect(into.bytes.length).toBeLessThan(bytes.length);
  }
  answer = serve(bytes, {});
  expect(sha256((await fetch('/')).bytes)).toBe(sha256(bytes));
});

/** Answers a connection with `text`, and ends it at once, or by a reset when `reset` is called. */
async function answerRaw(
  text: string,
  ask: (url: string, reset: () => void) => Promise<void>,
  ends = true,
): Promise<void> {
  let reset = (): void => {};
  const raw = createTcpServer((socket) => {
    socket.on('error', () => {}); // the other side may have gone
    reset = () => socket.resetAndDestroy();
    socket.once('data', () => socket.write(text, () => ends && socket.end()));
  });
  raw.listen(0, '127.0.0.1');
  await once(raw, 'listening');
  try {
    await ask(`http://127.0.0.1:${(raw.address() as AddressInfo).port}/`, () => reset());
  } finally {
    raw.close();
    await once(raw, 'close');
  }
}

test('an answer that ends before its end is an error wherever its end can be known', async () => {
  const head = 'HTTP/1.1 200 OK\r\nConnection: close\r\n';
  const chunked = `${head}Transfer-Encoding: chunked\r\n\r\n`;
  const failed = { code: 'ECONNRESET', retryable: true, syscall: 'GET' };
  for (const text of [
    `${chunked}5\r\nbytes\r\n5\r\nby`, // within a chunk
    `${chunked}5\r\nbytes\r\n`, // between two
    `${chunked}5\r\nbytes\r\n0\r\n`, // within the last, which is empty
    `${head}Content-Length: 9\r\n\r\nbytes`,
  ]) {
    await answerRaw(text, async (url) => expect(await failureOf(fetch(url))).toMatchObject(failed));
  }
  // Its end is that of the connection, and a reset is none.
  const ask = async (url: string, reset: () => void): Promise<void> => {
    class Resetting extends Basin {
      override push(bytes: Uint8Array): number {
        reset();
        return super.push(bytes);
      }
    }
    expect(await failureOf(fetch(url, { into: new Resetting() }))).toMatchObject(failed);
  };
  await answerRaw(`${head}\r\nbytes`, ask, false);
});

test('an answer without a length is whole when the connection ends, unless the request has its size', async () => {
  for (const version of ['HTTP/1.0', 'HTTP/1.1']) {
    await answerRaw(`${version} 200 OK\r\n\r\nbytes`, async (url) => {
      expect((await fetch(url)).bytes.toString()).toBe('bytes');
      expect((await fetch(url, { size: 5 })).bytes.toString()).toBe('bytes');
      const failure = await failureOf(fetch(url, { size: 9 }));
      expect(failure).toMatchObject({ code: 'EHTTP', retryable: true });
      expect(failure['message']).toMatch(/ended 4 bytes before the size that was asked for/);
    });
  }
});

test('an address without a listener, and a name that does not exist, are reported as such', async () => {
  const closed = createServer();
  const url = await listen(closed);
  await close(closed);
  expect(await failureOf(fetch(url))).toMatchObject({ code: 'ECONNREFUSED', syscall: 'GET', retryable: true });
  const unknown = await failureOf(fetch('http://no-such-name.invalid/'));
  expect(unknown['code']).toMatch(/^(ENOTFOUND|EAI_AGAIN)$/);
});

test('what is no HTTP is reported as such', async () => {
  const tcp = createTcpServer((socket) => socket.end('SSH-2.0-OpenSSH_9.9\r\n'));
  tcp.listen(0, '127.0.0.1');
  await once(tcp, 'listening');
  const url = `http://127.0.0.1:${(tcp.address() as AddressInfo).port}/`;
  expect(await failureOf(fetch(url))).toMatchObject({ code: 'EPROTO', path: url });
  tcp.close();
});

test('stops at once when it is ordered to, before, while and after it waits for room', async () => {
  const stopped = new Error('stopped');
  const already = AbortSignal.abort(stopped);
  answer = serve(bytesOf(5_000_000), {});
  await expect(fetch('/', { signal: already })).rejects.toBe(stopped);
  expect(asked).toEqual([]);
  for (const capacity of [1000, Number.POSITIVE_INFINITY]) {
    const controller = new AbortController();
    class Stopping extends Basin {
      override push(bytes: Uint8Array): number {
        setImmediate(() => controller.abort(stopped));
        return super.push(bytes);
      }
    }
    const into = new Stopping(capacity);
    answer = (_request, response) => response.write(bytesOf(100_000));
    await expect(fetch('/', { signal: controller.signal, into })).rejects.toBe(stopped);
    const got = into.bytes.length;
    expect(got).toBeGreaterThan(0);
    await once(asked.at(-1)!.socket, 'close'); // the server is rid of it too
    expect(into.bytes.length).toBe(got);
  }
});

// ---------------------------------------------------------------------------------------------------------- going on

test.each([
  ['a strong tag', { etag: '"v1"' }],
  ['a date and a length', { 'last-modified': 'Tue, 03 Nov 2020 10:00:00 GMT' }],
])('goes on from where it ended while the server has the same bytes, known by %s', async (_what, headers) => {
  const bytes = bytesOf(300_000);
  answer = serve(bytes, headers);
  const { answer: first } = await fetch('/');
  for (const offset of [1, 100_000, 299_999]) {
    const got = await fetch('/', { start: { offset, identity: first!.identity } });
    expect(got.answer).toEqual({ offset, totalBytes: bytes.length, identity: first!.identity });
    expect(got.bytes.equals(bytes.subarray(offset))).toBe(true);
    expect(asked.at(-1)!.headers.range).toBe(`bytes=${offset}-`);
  }
  const nothing = await fetch('/', { start: { offset: bytes.length, identity: first!.identity } });
  expect(nothing.answer).toMatchObject({ offset: bytes.length, totalBytes: bytes.length });
  expect(nothing.bytes.length).toBe(0);
});

test('begins at 0, and reports it, if the server has other bytes by now', async () => {
  const bytes = bytesOf(300_000, 2);
  answer = serve(bytes, { etag: '"v2"' });
  const got = await fetch('/', { start: { offset: 100_000, identity: 'etag "v1"' } });
  expect(got.answer).toEqual({ offset: 0, totalBytes: bytes.length, identity: `etag "v2"; ${bytes.length} bytes` });
  expect(sha256(got.bytes)).toBe(sha256(bytes));
  expect(asked).toHaveLength(1); // the If-Range had it answer with all of it
});

test('begins at 0 if nothing shows whether the bytes are the same', async () => {
  const bytes = bytesOf(1000);
  answer = serve(bytes, {});
  const got = await fetch('/', { start: { offset: 500, identity: null } });
  expect(got.answer).toMatchObject({ offset: 0 });
  expect(got.bytes.equals(bytes)).toBe(true);
  expect(asked[0]!.headers.range).toBeUndefined();
});

test.each([
  ['another tag', { etag: '"v2"', 'content-range': 'bytes 400-999/1000' }],
  ['another place', { etag: '"v1"', 'content-range': 'bytes 300-999/1000' }],
  ['an end before the end', { etag: '"v1"', 'content-range': 'bytes 400-998/1000' }],
  ['another length', { etag: '"v1"', 'content-range': 'bytes 400-899/900' }],
  ['no range', { etag: '"v1"' }],
])('a part that does not fit is not taken: %s', async (_what, headers) => {
  const bytes = bytesOf(1000);
  answer = (request, response) => {
    if (request.headers.range === undefined) response.end(bytes);
    else response.writeHead(206, headers as Record<string, string>).end(bytes.subarray(400));
  };
  const got = await fetch('/', { start: { offset: 400, identity: 'etag "v1"; 1000 bytes' } });
  expect(got.answer).toMatchObject({ offset: 0 });
  expect(got.bytes.equals(bytes)).toBe(true);
  expect(asked).toHaveLength(2);
});

test('a file that has become shorter than what is there already is fetched anew', async () => {
  const bytes = bytesOf(100);
  answer = (request, response) => {
    if (request.headers.range === undefined) response.end(bytes);
    else response.writeHead(416, { 'content-range': 'bytes */100' }).end();
  };
  for (const offset of [400, 100]) {
    const got = await fetch('/', { start: { offset, identity: 'etag "v1"; 500 bytes' } });
    expect(got.bytes.equals(bytes)).toBe(true);
  }
});

test("a part that is longer or shorter than the server declared is the server's fault, and worth another attempt", async () => {
  for (const [bytes, words] of [
    [700, 'went on beyond the size that the server told'],
    [500, 'ended 100 bytes before the size that the server told'],
  ] as const) {
    answer = (_request, response) =>
      response.writeHead(206, { etag: '"v1"', 'content-range': 'bytes 400-999/1000' }).end(bytesOf(bytes));
    const failure = failureOf(fetch('/', { start: { offset: 400, identity: 'etag "v1"' } }));
    expect(await failure).toMatchObject({ code: 'EHTTP', retryable: true, message: expect.stringContaining(words) });
  }
});

test('what a server sends cannot steer the terminal that shows it', async () => {
  answer = (_request, { socket }) => socket?.end('HTTP/1.1 404 \u001B[31mred\r\ncontent-length: 0\r\n\r\n');
  expect((await failureOf(fetch('/')))['message']).toContain('404 \\u{1b}[31mred');
});

// --------------------------------------------------------------------------------------------------------------- TLS

test('https is verified, always: an unknown authority is refused, one that is named is trusted', async () => {
  const scratch = fileURLToPath(new URL('../../../.cache/scratch/', import.meta.url));
  mkdirSync(scratch, { recursive: true });
  const home = mkdtempSync(join(scratch, 'tls-'));
  const [keyFile, certFile] = [join(home, 'key.pem'), join(home, 'cert.pem')];
  const program = fileURLToPath(new URL('../../../config/jest.certificate.mjs', import.meta.url));
  execFileSync(process.execPath, [program, keyFile, certFile]);
  const cert = readFileSync(certFile, 'utf8');
  const bytes = bytesOf(3_000_001);
  const tls = createTlsServer({ key: readFileSync(keyFile), cert }, (request, response) => {
    if (request.url === '/down') response.writeHead(302, { location: `${base}/` }).end();
    else response.end(bytes);
  });
  rmSync(home, { recursive: true });
  const url = (await listen(tls)).replace('http:', 'https:');
  const refused = await failureOf(fetch(`${url}/`));
  expect(refused).toMatchObject({ code: 'DEPTH_ZERO_SELF_SIGNED_CERT', retryable: false });
  means = { policy: new AddressPolicy(['127.0.0.1']), ca: cert };
  expect(sha256((await fetch(`${url}/`, { into: new Basin(40_000) })).bytes)).toBe(sha256(bytes));
  expect(await failureOf(fetch(`${url}/down`))).toMatchObject({ message: expect.stringContaining('from https to') });
  await close(tls);
});
