// A file system that opens files for direct I/O and refuses to write them so: mergerfs, as root over /dev/fuse.
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { openWriter } from 'penstock';
import { patternBytes } from '../../support/expected-bytes.ts';
import { lacksOfMergerfs, mountMergerfs } from '../../support/fuse-mount.fixture.ts';
import { System } from '../../support/system.ts';

let system: System;
beforeEach(async () => {
  system = await System.open();
});
afterEach(() => system.close());

const lacks = lacksOfMergerfs();
const onMergerfs = lacks === null ? test : test.skip;
const title = (name: string): string => (lacks === null ? name : `${name} (skipped: ${lacks})`);

const SIZE = 3_000_001;
const source = { kind: 'pattern', pattern: 'stamp', seed: 4 } as const;
const expected = patternBytes('stamp', 4, SIZE);

onMergerfs(
  title('a root on mergerfs is written through the page cache after the first refusal, and result and log say so once'),
  async () => {
    const mount = mountMergerfs(system.home, system.undo);
    const host = await system.host(['--threads', '1', '--root', `merged=${mount}`]);
    const write = async (path: string, more: object = {}) => {
      const end = await system.finished(await system.add({ path, root: 'merged', size: SIZE, source, ...more }));
      expect(end.failedReason).toBeUndefined();
      expect(readFileSync(join(mount, path)).equals(expected)).toBe(true);
      return end.returnvalue;
    };
    const refused = { mode: 'aio-buffered', fallbackReason: expect.stringContaining('refuses to write them so') };
    expect(await write('a')).toMatchObject(refused);
    const again = await write('b', { verify: 'readback', checksum: 'sha256' });
    expect(again).toMatchObject({ ...refused, alignment: { memory: 1, offset: 1 } }); // nothing was tried
    await write('a', { durability: 'dsync' });
    await write('a', { publish: 'in-place' });
    await write('created', { mode: 'create' });
    // Its descriptor has to outlive its change of name: mergerfs knows open files by their names.
    await write('created-in-place', { mode: 'create', publish: 'in-place', fileMode: '640' });
    expect(host.said().split('refuses to write them so')).toHaveLength(2);
    expect(statSync(join(mount, 'created')).size).toBe(SIZE);
  },
);

onMergerfs(title('with --direct off nothing is tried there, and the library can be told the same'), async () => {
  const mount = mountMergerfs(system.home, system.undo);
  await system.host(['--threads', '1', '--root', `merged=${mount}`, '--direct', 'merged=off']);
  const add = (root: string) => system.add({ path: 'a', root, size: SIZE, source });
  const [there, elsewhere] = [await add('merged'), await add('data')];
  expect((await system.finished(there)).returnvalue).toMatchObject({
    mode: 'aio-buffered',
    fallbackReason: expect.stringContaining('turned off'),
  });
  expect((await system.finished(elsewhere)).returnvalue.fallbackReason ?? '').not.toContain('turned off');
  const writer = await openWriter({ threads: 1, direct: 'off' });
  try {
    writeFileSync(join(mount, 'in'), expected);
    const result = await writer.copyFile(join(mount, 'in'), join(mount, 'out'));
    expect(result).toMatchObject({ mode: 'aio-buffered', fallbackReason: expect.stringContaining('turned off') });
    expect(readFileSync(join(mount, 'out')).equals(expected)).toBe(true);
  } finally {
    await writer.close();
  }
});
