// Every mode and source on each file system: whole files are compared, and what the results say of the way is pinned.
import {
  closeSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import { afterEach, expect, test } from '@jest/globals';
import type { WriteResult } from '@penstock/contract';
import { type WriteStreamOptions, type Writer, openWriter } from 'penstock';
import { patternBytes } from '../../support/expected-bytes.ts';
import { GROUNDS, type Said, lacksOf, saidBy } from '../../support/grounds.ts';
import { faultsOfBulks, faultsOfJobs } from '../../support/request-rows.ts';
import { ContentServer } from '../../soak/served.ts';
import { System } from '../../support/system.ts';

const SIZES = [0, 1, 511, 4097, 65_537, 1_048_577];

let system: System;
let last: (() => Promise<void>)[] = [];
afterEach(async () => {
  await system.hostsGone();
  for (const step of last.splice(0).toReversed()) await step();
  await system.close();
});

/** What was said, each once, in an order of its own. */
class SaidOnce {
  readonly #said = new Map<string, Said>();

  add(result: Partial<WriteResult>): void {
    // A reflink moves no bytes, and tells how they would have gone.
    const said = saidBy(result);
    this.#said.set(JSON.stringify(said), said);
  }

  get all(): Said[] {
    return [...this.#said.entries()].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, said]) => said);
  }
}

const inOrder = (said: readonly Said[]): Said[] => {
  const all = new SaidOnce();
  for (const { mode, reason, durable } of said) {
    all.add({ mode, fallbackReason: reason, ...(durable === 'no' ? { durable: false } : {}) });
  }
  return all.all;
};

/** Streams of the library with each flag, in pieces that end where no block does. */
async function expectStreams(writer: Writer, mount: string): Promise<void> {
  const bytes = patternBytes('stamp', 12, 700_001);
  const before = patternBytes('random', 13, 90_001);
  const write = async (name: string, options: WriteStreamOptions): Promise<void> => {
    const stream = writer.createWriteStream(join(mount, name), options);
    for (let from = 0; from < bytes.length; from += 33_333) stream.write(bytes.subarray(from, from + 33_333));
    stream.end();
    await once(stream, 'finish');
  };
  for (const name of ['stream-a', 'stream-r']) writeFileSync(join(mount, name), before);
  await Promise.all([
    write('stream-w', {}),
    write('stream-wx', { flags: 'wx' }),
    write('stream-a', { flags: 'a' }),
    write('stream-r', { flags: 'r+', start: 4099 }),
  ]);
  const over = Buffer.concat([before.subarray(0, 4099), bytes]);
  for (const [name, expected] of [
    ['stream-w', bytes],
    ['stream-wx', bytes],
    ['stream-a', Buffer.concat([before, bytes])],
    ['stream-r', over],
  ] as const) {
    expect({ name, same: readFileSync(join(mount, name)).equals(expected) }).toEqual({ name, same: true });
  }
}

/** A source with holes before, between and behind its data, copied with them; where the file system has them. */
async function expectHoles(mount: string, said: SaidOnce): Promise<void> {
  const bytes = patternBytes('stamp', 14, 200_001);
  const path = join(mount, 'holes.in');
  const fd = openSync(path, 'w');
  writeSync(fd, bytes, 0, bytes.length, 1_000_000);
  writeSync(fd, bytes, 0, bytes.length, 5_000_000);
  ftruncateSync(fd, 9_000_001);
  closeSync(fd);
  const expected = readFileSync(path);
  for (const source of [{ holes: 'keep' }, { reflink: 'auto', holes: 'keep' }, { holes: 'fill' }]) {
    const name = `holes-${Object.keys(source).length}-${source.holes}`;
    const end = await system.finished(
      await system.add({
        path: name,
        root: 'ground',
        source: { kind: 'file', root: 'ground', path: 'holes.in', ...source },
      }),
    );
    expect(end.failedReason).toBeUndefined();
    said.add(end.returnvalue as WriteResult);
    expect({ name, same: readFileSync(join(mount, name)).equals(expected) }).toEqual({ name, same: true });
    expect(statSync(join(mount, name)).size).toBe(9_000_001);
  }
}

for (const ground of GROUNDS) {
  const lacks = lacksOf(ground, release());
  const tell = lacks === null ? test : test.skip;
  const why = lacks === null ? '' : ` (skipped: ${lacks})`;
  tell(
    `on ${ground.name} every mode and source writes what was asked for, and results say how${why}`,
    async () => {
      system = await System.open();
      const mount = ground.mount(system.home, system.undo);
      const shmDirectory = mkdtempSync('/dev/shm/penstock-grounds-');
      const server = await ContentServer.open();
      last.push(
        () => server.close(),
        async () => rmSync(shmDirectory, { recursive: true }),
      );
      const roots = ['--root', `ground=${mount}`, '--wait-for-space', '0'];
      await system.host(['--threads', '2', '--shm', shmDirectory, '--url-allow', '127.0.0.1', ...roots]);
      const said = new SaidOnce();
      // A write without a row has gone no way.
      const seen = (result: WriteResult): void => {
        if (result.writes > 0) said.add(result);
      };
      const place = { root: 'ground', directory: mount, shmDirectory, server, sizes: SIZES, seen };
      expect(await faultsOfJobs(system, place)).toEqual([]);
      expect(await faultsOfBulks(system, { ...place, sizes: [4097, 65_537] })).toEqual([]);
      await expectHoles(mount, said);
      const writer = await openWriter({ threads: 1 });
      last.push(() => writer.close());
      await expectStreams(writer, mount);
      expect(said.all).toEqual(inOrder(ground.said));
    },
    600_000,
  );
}
