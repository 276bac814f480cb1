// Servers that bring their bytes drop by drop, or none: their writes keep no row memory from others.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type Server, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { System } from '../support/system.ts';

const TRICKLING = 40;
const SILENT = 10;
const DROP = Buffer.from('drop after drop, ');

let system: System;
let server: Server;
/** By path. */
let answers: Map<string, ServerResponse>;
beforeEach(async () => {
  system = await System.open();
  answers = new Map();
  server = createServer(({ url = '' }, response) => {
    if (url.startsWith('/trickling')) response.write(DROP);
    answers.set(url, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await system.close();
});

test('40 urls that trickle and 10 that do not answer leave the row memory to a write of 2 MiB', async () => {
  // Of 8 streams, if each kept its rows.
  await system.host(['--threads', '1', '--jobs', '64', '--memory', '80MiB', '--url-allow', '127.0.0.1']);
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const add = (name: string) =>
    system.add({ path: name, source: { kind: 'url', url: `${base}/${name}`, timeoutMs: 60_000 } });
  const names = Array.from({ length: TRICKLING }, (_, index) => `trickling${index}`);
  const jobs = await Promise.all(names.map(add));
  await Promise.all(Array.from({ length: SILENT }, (_, index) => add(`silent${index}`)));
  while (answers.size < TRICKLING + SILENT) await once(server, 'request');
  const trickle = setInterval(() => {
    for (const name of names) answers.get(`/${name}`)!.write(DROP);
  }, 20);
  const size = 2_097_152;
  const whole = await system.add({ path: 'whole', size, source: { kind: 'pattern', pattern: 'zero' } });
  const end = await system.finished(whole, 20_000).finally(() => clearInterval(trickle));
  expect(end.failedReason).toBeUndefined();
  expect(readFileSync(join(system.data, 'whole')).equals(Buffer.alloc(size))).toBe(true);
  for (const response of answers.values()) response.end('the end');
  for (const [index, job] of jobs.entries()) {
    expect((await system.finished(job)).failedReason).toBeUndefined();
    const text = readFileSync(join(system.data, names[index]!), 'utf8');
    expect(text.replaceAll(DROP.toString(), '')).toBe('the end');
  }
}, 120_000);
