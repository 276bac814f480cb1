#!/usr/bin/env bash
# Node 22.23.3: a Worker with `execArgv: []` reports no options of its own, and still runs what NODE_OPTIONS preloads
# (--require, --import). What the command line preloads it does not run. Only an environment without NODE_OPTIONS
# (`env: {}`) keeps a preload out of a thread.
#
# What it means for a library that starts threads: a preload that opens the library starts threads that run the preload,
# and so on without end. Penstock gives its threads both, `execArgv: []` and an environment of their own
# (libs/penstock/test/preload.test.ts).
#
# Seen on Linux 6.18, with Node 20.20.2 too. Exits with 0 where it is still so, 1 where it has changed, 3 where it cannot run.
set -euo pipefail
folder=$(mktemp -d) || exit 3
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null 2>&1 && npm install --silent --no-audit --no-fund node@22.23.3 >/dev/null || exit 3
node=node_modules/node/bin/node
[ -x "$node" ] && [ "$("$node" --version)" = v22.23.3 ] || exit 3
cat >preload.cjs <<'JS'
if (!require('node:worker_threads').isMainThread) console.log('  preloaded in the thread');
JS
cat >try.mjs <<'JS'
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

const body = 'console.log("  its execArgv: " + JSON.stringify(process.execArgv))';
for (const options of [{ execArgv: [] }, { execArgv: [], env: {} }]) {
  console.log(JSON.stringify(options));
  await once(new Worker(body, { eval: true, ...options }), 'exit');
}
JS
seen=$(
  echo 'preloaded by the command line:'
  env -u NODE_OPTIONS "$node" --require ./preload.cjs try.mjs
  echo 'preloaded by NODE_OPTIONS:'
  NODE_OPTIONS='--require ./preload.cjs' "$node" try.mjs
)
echo "$seen"
# Seen:
expected='preloaded by the command line:
{"execArgv":[]}
  its execArgv: []
{"execArgv":[],"env":{}}
  its execArgv: []
preloaded by NODE_OPTIONS:
{"execArgv":[]}
  preloaded in the thread
  its execArgv: []
{"execArgv":[],"env":{}}
  its execArgv: []'
[ "$seen" = "$expected" ]
