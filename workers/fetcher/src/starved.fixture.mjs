// Fetches a url three times: with no descriptor left, with some, and with none once more. Prints how each ended.
import { closeSync, openSync } from 'node:fs';
import { Fetcher } from '@penstock/fetcher';
import { RingConsumer, createArenaMemory, createRing } from '@penstock/matrix';

const [url] = process.argv.slice(2);
const memory = createArenaMemory(2_097_152);
const fetcher = new Fetcher({ urlAllow: ['127.0.0.1'] });

function fetch() {
  const { inlet, outlet } = createRing([memory]);
  return new Promise((resolve) => {
    const end = (outcome) => {
      ring.close();
      resolve(outcome);
    };
    const ring = new RingConsumer(outlet, {
      arrived: () => {
        while (ring.take() !== -1);
        if (ring.exhausted) end('fetched');
      },
      failed: (error) => end(error.message),
      abandoned: () => end('abandoned'),
    });
    ring.begin({ thread: 0, head: 0, align: 1 });
    ring.grant({ start: 0, rowStride: 4096, rowBytes: 4096, rowCount: 8 });
    ring.take();
    fetcher.fetch({ source: { kind: 'url', url, redirects: 0, timeoutMs: 5000 }, inlet });
  });
}

function takeAll() {
  const held = [];
  for (;;) {
    try {
      held.push(openSync('/dev/null', 'r'));
    } catch {
      return held;
    }
  }
}

const outcomes = [];
for (const starves of process.argv[3] === 'starved' ? [true, false, true, false] : [false]) {
  const held = starves ? takeAll() : [];
  outcomes.push(await fetch());
  for (const fd of held) closeSync(fd);
}
await fetcher.close();
console.log(JSON.stringify(outcomes));
