/**
 * A fetcher in a process that lacks something: each url fails by the name of what is missing, and nothing else does.
 */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from '@jest/globals';

const fixture = fileURLToPath(new URL('starved.fixture.mjs', import.meta.url));
const run = promisify(execFile);

let server: Server;
let url: string;
beforeEach(async () => {
  server = createServer((_request, response) => void response.end('hello'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

async function outcomes(command: string, ...args: string[]): Promise<string[]> {
  const { stdout } = await run('sh', ['-c', command, process.execPath, fixture, url, ...args], { timeout: 60_000 });
  return JSON.parse(stdout) as string[];
}

test('with no descriptor left a url fails by EMFILE, as the thread starts and later, and the next is fetched', async () => {
  const ended = await outcomes('ulimit -n 500; exec "$0" "$@"', 'starved');
  const starved = expect.stringMatching(/^EMFILE: .*, GET 'http:.* raise `ulimit -n`/);
  expect(ended).toEqual([starved, 'fetched', starved, 'fetched']);
});

test('without WebAssembly a url fails by that name, and the process lives', async () => {
  const ended = await outcomes('exec "$0" --no-expose-wasm "$@"');
  expect(ended).toEqual([expect.stringMatching(/^ENOSYS: this Node has no WebAssembly, .*, GET 'http:/)]);
});
