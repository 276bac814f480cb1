// Bytes from servers and from other processes' memory, through the real queue, host and disk.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type RequestListener, type Server, createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import type { Job } from 'bullmq';
import { createPatternSource, readSource } from '@penstock/sources';
import { type HostProcess, System } from '../support/system.ts';

const EDGE_SIZES = [0, 1, 511, 512, 4095, 4096, 4097, 65_537, 1_048_575, 1_048_577, 9_000_001];

let system: System;
let host: HostProcess;
let server: Server;
let base: string;
let shm: string;
/** Its authority is named to the host. */
let trusted: { keyFile: string; certFile: string };
let answer: RequestListener;
let requests = 0;

beforeAll(async () => {
  shm = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'penstock-test-'));
  server = createServer((request, response) => {
    requests += 1;
    answer(request, response);
  });
  base = `http://127.0.0.1:${await listen(server)}`;
  trusted = makeCertificate('trusted');
  system = await System.open();
  host = await startHost();
});
afterEach(() => {
  requests = 0;
  expect(system.names().filter((name) => name.endsWith('.part'))).toEqual([]);
});
afterAll(async () => {
  await system.close();
  server.closeAllConnections();
  server.close();
  rmSync(shm, { recursive: true, force: true });
});

const startHost = (): Promise<HostProcess> =>
  system.host(
    [
      '--threads',
      '1',
      '--jobs',
      '8',
      '--checkpoint',
      '1MiB',
      '--lock-duration',
      '1000',
      '--url-allow',
      '127.0.0.1',
      '--shm',
      shm,
    ],
    [],
    {
      // Nothing of this is heeded: urls are got from where they lead, and certificates are verified.
      http_proxy: 'http://127.0.0.1:1',
      HTTPS_PROXY: 'http://127.0.0.1:1',
      NODE_USE_ENV_PROXY: '1',
      NODE_TLS_REJECT_UNAUTHORIZED: '0',
      NODE_EXTRA_CA_CERTS: trusted.certFile,
    },
  );

const certificateProgram = fileURLToPath(new URL('../../config/jest.certificate.mjs', import.meta.url));

/** A key and a certificate that it signed itself. */
function makeCertificate(name: string): { keyFile: string; certFile: string } {
  const [keyFile, certFile] = [join(shm, `${name}.key`), join(shm, `${name}.pem`)];
  execFileSync(process.execPath, [certificateProgram, keyFile, certFile]);
  return { keyFile, certFile };
}

async function listen(listening: Server): Promise<number> {
  listening.listen(0, '127.0.0.1');
  await once(listening, 'listening');
  return (listening.address() as AddressInfo).port;
}
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const stamp = (size: number, seed: number): Uint8Array => readSource(createPatternSource('stamp', seed), 0, size);
const written = (name: string): Buffer => readFileSync(system.path(name));

function addUrl(path: string, fields: Record<string, unknown> = {}, options = {}): Promise<Job> {
  const source = { kind: 'url', url: `${base}/${path}`, timeoutMs: 5000 };
  return system.add({ path, source, ...fields }, options);
}

test('a file from a server has its bytes, at every edge size, with a length and without', async () => {
  for (const chunked of [false, true]) {
    const sizes = new Map(EDGE_SIZES.map((size) => [`/${size}.${chunked}`, size]));
    answer = (request, response) => {
      const bytes = stamp(sizes.get(request.url!)!, 1);
      if (!chunked) response.setHeader('content-length', bytes.length);
      response.write(bytes.subarray(0, 1000));
      response.end(bytes.subarray(1000));
    };
    const jobs = await Promise.all([...sizes.keys()].map((url) => addUrl(url.slice(1))));
    for (const [index, job] of jobs.entries()) {
      const size = EDGE_SIZES[index]!;
      const end = await system.finished(job);
      expect(end.failedReason).toBeUndefined();
      expect(end.returnvalue).toMatchObject({ bytes: size, mode: 'aio-direct' });
      expect(sha256(written(`${size}.${chunked}`))).toBe(sha256(stamp(size, 1)));
    }
  }
});

test('a server that dies amid its answer costs an attempt, and is asked for the rest', async () => {
  const bytes = stamp(5_000_000, 2);
  const ranges: unknown[] = [];
  answer = (request, response) => {
    ranges.push(request.headers.range);
    const [, from = 0] = /bytes=(\d+)-/.exec(request.headers.range ?? '') ?? [];
    response.setHeader('etag', '"same"');
    response.setHeader('content-length', bytes.length - Number(from));
    if (Number(from) > 0) {
      response.writeHead(206, { 'content-range': `bytes ${from}-${bytes.length - 1}/${bytes.length}` });
    }
    if (requests === 1) response.write(bytes.subarray(0, 4_000_000), () => response.destroy());
    else response.end(bytes.subarray(Number(from)));
  };
  const end = await system.finished(await addUrl('dies.dat', {}, { attempts: 3 }));
  expect(end.returnvalue).toMatchObject({ bytes: 5_000_000 });
  expect(requests).toBe(2);
  expect(end.returnvalue.resumedFrom).toBeGreaterThan(1_000_000);
  expect(ranges).toEqual([undefined, `bytes=${end.returnvalue.resumedFrom}-`]);
  expect(sha256(written('dies.dat'))).toBe(sha256(bytes));
});

test('what cannot be had is told once, and not tried again', async () => {
  answer = (_request, response) => response.writeHead(404).end();
  const missing = await system.finished(await addUrl('missing.dat', {}, { attempts: 3 }));
  expect(missing.failedReason).toMatch(/EHTTP: the server answered 404 Not Found, GET 'http:.*missing\.dat'/);
  expect([missing.attemptsMade, requests]).toEqual([1, 1]);

  answer = (_request, response) => response.writeHead(302, { location: 'http://169.254.169.254/latest/' }).end();
  const inside = await system.finished(await addUrl('inside.dat', {}, { attempts: 3 }));
  expect(inside.failedReason).toMatch(/source\.url: .*169\.254\.169\.254, which is link-local/);
  expect(inside.attemptsMade).toBe(1);

  answer = (_request, response) => response.end('twelve bytes');
  const size = await system.finished(await addUrl('size.dat', { size: 13 }, { attempts: 3 }));
  expect(size.failedReason).toMatch(/size: 13 .*12 bytes/);
  expect(size.attemptsMade).toBe(1);
  expect(system.names()).not.toContain('missing.dat');
});

test('https is verified whatever the environment says, with the authorities that it names', async () => {
  const bytes = stamp(2_000_003, 5);
  const ends = [];
  for (const { keyFile, certFile } of [trusted, makeCertificate('unknown')]) {
    const tls = createTlsServer({ key: readFileSync(keyFile), cert: readFileSync(certFile) }, (_request, response) => {
      response.end(bytes);
    });
    const url = `https://127.0.0.1:${await listen(tls)}/`;
    ends.push(await system.finished(await system.add({ path: 'tls.dat', source: { kind: 'url', url } })));
    tls.closeAllConnections();
    tls.close();
  }
  expect(ends[0]!.returnvalue).toMatchObject({ bytes: 2_000_003 });
  expect(sha256(written('tls.dat'))).toBe(sha256(bytes));
  expect(ends[1]!.failedReason).toMatch(/SELF_SIGNED_CERT.*always verified/);
});

test('a segment that another process filled is written by the host that has it', async () => {
  const program = `require('node:fs').writeFileSync(process.argv[1], Buffer.alloc(3_000_001, 'segment'))`;
  execFileSync(process.execPath, ['-e', program, join(shm, 'segment')]);
  const source = { kind: 'shm', name: 'segment', offset: 4096 };
  const end = await system.finished(await system.add({ path: 'shm.dat', source }));
  expect(end.returnvalue).toMatchObject({ bytes: 2_995_905 });
  expect(written('shm.dat').equals(readFileSync(join(shm, 'segment')).subarray(4096))).toBe(true);
});

test('a host that is told to stop amid a fetch leaves the server, and the next host gets the file', async () => {
  const bytes = stamp(3_000_000, 3);
  let left!: () => void;
  const wasLeft = new Promise<void>((resolve) => {
    left = resolve;
  });
  let begun!: () => void;
  const hasBegun = new Promise<void>((resolve) => {
    begun = resolve;
  });
  answer = (_request, response) => {
    response.setHeader('content-length', bytes.length);
    if (requests > 1) {
      response.end(bytes);
      return;
    }
    response.once('close', left);
    response.write(bytes.subarray(0, 1_000_000), begun);
  };
  const job = await addUrl('moves.dat', { source: { kind: 'url', url: `${base}/moves.dat`, timeoutMs: 60_000 } });
  await hasBegun;
  expect(await host.end()).toBe(0);
  await wasLeft;
  host = await startHost();
  const end = await system.finished(job);
  expect(end.returnvalue).toMatchObject({ bytes: 3_000_000 });
  expect(sha256(written('moves.dat'))).toBe(sha256(bytes));
});

test('a host that is killed amid a fetch costs what came after its last checkpoint: the next one asks for the rest', async () => {
  const bytes = stamp(24_000_001, 6);
  const etag = '"v1"';
  const asked: (string | undefined)[] = [];
  answer = (request, response) => {
    const { range, 'if-range': ifRange } = request.headers;
    asked.push(range);
    const from = Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0);
    response.setHeader('etag', etag);
    if (from > 0 && ifRange === etag) {
      response.writeHead(206, { 'content-range': `bytes ${from}-${bytes.length - 1}/${bytes.length}` });
      response.end(bytes.subarray(from));
    } else {
      response.setHeader('content-length', bytes.length);
      response.write(bytes.subarray(0, 12_000_000)); // and no more: the host is killed by then
    }
  };
  const url = `${base}/killed.dat`;
  const job = await addUrl('killed.dat', { source: { kind: 'url', url, timeoutMs: 60_000 } });
  await system.progressOf(job, (progress) => progress['bytesDurable']! >= 4_000_000);
  await host.end('SIGKILL');
  host = await startHost();
  const end = await system.finished(job);
  const [first, second, ...more] = asked;
  expect([first, more]).toEqual([undefined, []]);
  const resumedFrom = Number(/^bytes=(\d+)-$/.exec(second ?? '')?.[1]);
  expect(resumedFrom).toBeGreaterThanOrEqual(4_000_000);
  expect(end.returnvalue).toMatchObject({ bytes: bytes.length, resumedFrom });
  expect(sha256(written('killed.dat'))).toBe(sha256(bytes));
});
