// What results say of a write on each file system, and docs/filesystems.md with them: one fresh file each, made for real.
// grounds.long.test.ts has every mode and source there.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { type Writer, openWriter } from 'penstock';
import { patternBytes } from '../../support/expected-bytes.ts';
import { GROUNDS, documentedRows, lacksOf, rowsOfGrounds, saidBy } from '../../support/grounds.ts';
import type { Undo } from '../../support/loop-disk.fixture.ts';
import { cliEntry } from '../../support/system.ts';

const scratch = fileURLToPath(new URL('../../../.cache/scratch/', import.meta.url));
const SIZE = 300_001;
const source = { kind: 'pattern', pattern: 'stamp', seed: 6 } as const;

let writer: Writer;
let home: string;
let undo: Undo = [];
beforeAll(async () => {
  mkdirSync(scratch, { recursive: true });
  home = mkdtempSync(join(scratch, 'grounds-'));
  writer = await openWriter({ threads: 1, engine: 'auto' });
});
afterEach(() => {
  for (const step of undo.splice(0).toReversed()) step();
});
afterAll(async () => {
  await writer.close();
  rmSync(home, { recursive: true, force: true });
});

test('the table of docs/filesystems.md says what is tried here', () => {
  expect(documentedRows()).toEqual(rowsOfGrounds());
});

for (const ground of GROUNDS) {
  const lacks = lacksOf(ground, release());
  const tell = lacks === null ? test : test.skip;
  tell(`on ${ground.name} a write says how it went${lacks === null ? '' : ` (skipped: ${lacks})`}`, async () => {
    const mount = ground.mount(home, undo);
    const path = join(mount, 'a');
    const result = await writer.writeFile(path, source, { size: SIZE, checksum: 'crc32c', verify: 'readback' });
    expect(readFileSync(path).equals(patternBytes('stamp', 6, SIZE))).toBe(true);
    expect(saidBy(result)).toEqual(ground.said[0]);
    const small = await writer.writeFile(join(mount, 'b'), 'a few bytes');
    expect(saidBy(small)).toEqual(ground.said[0]);
  });
}

const volatile = GROUNDS.find(({ name }) => name.includes('volatile'));
const lacks = lacksOf(volatile!, release());
(lacks === null ? test : test.skip)('doctor warns of a root that keeps nothing over a power loss', () => {
  const mount = volatile!.mount(home, undo);
  const words = [cliEntry, 'doctor', '--json', '--data', home, '--root', `lost=${mount}`];
  const { stdout } = spawnSync(process.execPath, words, { encoding: 'utf8' });
  const { findings } = JSON.parse(stdout) as { findings: { what: string }[] };
  expect(findings.find(({ what }) => what === 'root lost: writing')).toMatchObject({
    verdict: 'warn',
    found: expect.stringContaining('nothing on it survives power loss'),
    remedy: expect.stringContaining('put the root on a disk'),
  });
});
