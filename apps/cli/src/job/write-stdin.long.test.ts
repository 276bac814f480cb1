import { readFileSync } from 'node:fs';
import { afterAll, expect, test } from '@jest/globals';
import { createPatternSource, readSource } from '@penstock/sources';
import { Cli } from '../cli.fixture.ts';

const cli = new Cli();
afterAll(() => cli.close());

test.each([0, 1, 511, 4095, 4096, 4097, 65_537, 1_048_575, 1_048_577, 9_000_001])(
  'standard input of %d bytes becomes the file, with no Redis and no host',
  async (size) => {
    const bytes = Buffer.from(readSource(createPatternSource('random', size), 0, size));
    const running = cli.start('write', 'in/x', '--from', '-');
    running.child.stdin!.end(bytes);
    expect(await running.ended).toMatchObject({ code: 0 });
    expect(readFileSync(cli.file('in/x')).equals(bytes)).toBe(true);
  },
);
