import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Cli, program } from './cli.fixture.ts';

let cli: Cli;
beforeAll(() => {
  cli = new Cli();
});
afterAll(() => cli.close());

/** Runs `script` of a shell, for Node itself hands on nothing but UTF-8; `$penstock` is the command line. */
async function run(
  script: string,
  env: NodeJS.ProcessEnv = {},
): Promise<{ code: number; stdout: string; stderr: string }> {
  const child = spawn('sh', ['-c', script], {
    env: { ...cli.env, npm_command: undefined, ...env, penstock: `${process.execPath} ${program}` },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [[code], stdout, stderr] = await Promise.all([once(child, 'close'), text(child.stdout), text(child.stderr)]);
  return { code: code as number, stdout, stderr };
}

const BAD = `"$(printf 'a\\377b')"`;

test.each(['write', 'enqueue', 'cancel', 'host --name'])(
  'penstock %s refuses an argument that is no UTF-8 before anything is done, and shows its bytes',
  async (command) => {
    const { code, stdout, stderr } = await run(`$penstock ${command} ${BAD} --size 4KiB`);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain(`argument ${command.split(' ').length + 1}, "a\\xffb", is not UTF-8`);
    expect(existsSync(join(cli.directory, 'files'))).toBe(false);
  },
);

test('so does a setting of the environment, and a request that is read', async () => {
  writeFileSync(join(cli.directory, 'request.json'), Buffer.from('{"path": "a\u00FFb", "size": 1}', 'latin1'));
  const setting = await run(`PENSTOCK_DATA=${BAD} $penstock write a --size 4KiB`);
  expect(setting).toMatchObject({ code: 2, stderr: expect.stringContaining('PENSTOCK_DATA is not UTF-8, "a\\xffb"') });
  for (const request of ['@"$PENSTOCK_DATA"/request.json', '- < "$PENSTOCK_DATA"/request.json']) {
    const { code, stderr } = await run(`$penstock enqueue --request ${request}`);
    expect([code, stderr]).toEqual([2, expect.stringContaining('--request is not JSON: it is not UTF-8')]);
  }
});

test('the character that stands for what is no text is itself a name, unless npm may have put it there', async () => {
  const looked = await run(`$penstock verify /no/such/\uFFFD --pattern zero`);
  expect(looked).toMatchObject({ code: 1, stderr: expect.stringContaining('ENOENT') });
  const passedOn = await run(`$penstock verify /no/such/\uFFFD --pattern zero`, { npm_command: 'exec' });
  expect(passedOn).toMatchObject({ code: 2, stderr: expect.stringContaining('is not UTF-8') });
});
