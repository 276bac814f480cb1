// The mixed soak, short: all kinds of its work run beside each other, nothing is left open, and whole files compare.
import { expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { checkoutRoot } from '../../support/system.ts';

const SECONDS = 12;

test('all kinds of work run at once, nothing is left open, and every file is right', () => {
  const soak = join(checkoutRoot, 'test/dist/soak/run.js');
  const args = ['mixed', '--minutes', String(SECONDS / 60), '--size', '16MiB', '--seed', '7'];
  const { status, stdout } = spawnSync(process.execPath, [soak, ...args], { encoding: 'utf8' });
  expect(stdout).toContain('mixed: kept');
  expect(status).toBe(0);
  const [, tally = ''] = /GiB: (.*)/.exec(stdout) ?? [];
  const counts = Object.fromEntries(
    tally.split(', ').map((text) => [text.replace(/^\d+ /, ''), Number.parseInt(text, 10)]),
  );
  expect(counts).toEqual({
    'small files': expect.any(Number),
    'files in bulks': expect.any(Number),
    'large files': expect.any(Number),
    copies: expect.any(Number),
    appends: expect.any(Number),
    pauses: expect.any(Number),
    limits: expect.any(Number),
    cancels: expect.any(Number),
  });
  for (const kind of ['small files', 'files in bulks', 'large files', 'copies', 'appends'])
    expect(counts[kind]).toBeGreaterThan(0);
});
