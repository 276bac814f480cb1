#!/usr/bin/env bash
# undici 7.30.2: an HTTP/1.1 answer that has no length ends where its connection ends, and undici takes a connection that
# is reset for one that ended in order: the body comes to its end and nothing reports an error, though it was cut short.
# With node:http the body ends as well, but its request emits an error, ECONNRESET.
#
# What it means for a writer: "the body ended" does not say that the body is whole. Penstock's fetcher looks at what
# ended the socket itself (workers/fetcher/src/connection.ts).
#
# Seen with Node 20.20.2 on Linux 6.18. Exits with 0 where it is still so, 1 where it has changed, 3 where it cannot run.
set -euo pipefail
folder=$(mktemp -d) || exit 3
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null 2>&1 && npm install --silent --no-audit --no-fund undici@7.30.2 >/dev/null || exit 3
cat >try.mjs <<'JS'
import http from 'node:http';
import net from 'node:net';
import { request } from 'undici';

let cut = () => {};
const server = net.createServer((socket) => {
  socket.on('error', () => {});
  socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhalf'));
  cut = () => socket.resetAndDestroy();
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const url = `http://127.0.0.1:${server.address().port}/`;

/** Reads the body, has the connection reset once its first bytes are there, and reports how it ended. */
async function outcomeOf(body) {
  let text = '';
  try {
    for await (const chunk of body) {
      if (text === '') cut();
      text += chunk;
    }
    return `ended after "${text}"`;
  } catch (error) {
    return `failed after "${text}": ${error.code}`;
  }
}
const undici = await outcomeOf((await request(url)).body);
let told = 'nothing else';
const asked = http.get(url).on('error', ({ code }) => (told = `the request emitted ${code}`));
const node = await outcomeOf(await new Promise((resolve) => asked.once('response', resolve)));
if (!asked.closed) await new Promise((resolve) => asked.once('close', resolve));
server.close();
console.log(`undici:    ${undici}`);
console.log(`node:http: ${node}; ${told}`);
const isSo = undici === 'ended after "half"' && told === 'the request emitted ECONNRESET';
process.exit(isSo ? 0 : 1);
JS
status=0
node try.mjs || status=$?
# Seen:
#   undici:    ended after "half"
#   node:http: ended after "half"; the request emitted ECONNRESET
exit "$status"
