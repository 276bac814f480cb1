import { afterAll, expect, test } from '@jest/globals';
import { Cli } from './cli.fixture.ts';

const cli = new Cli();
afterAll(() => cli.close());

test('the version and the help are answers', async () => {
  const [version, help, none] = await Promise.all([cli.run('--version'), cli.run('--help'), cli.run()]);
  expect(version).toMatchObject({ code: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) });
  for (const command of ['write', 'enqueue', 'watch', 'host', 'up', 'verify', 'calibrate', 'doctor', 'demo']) {
    expect(help.stdout).toMatch(new RegExp(`^  ${command} `, 'm'));
  }
  expect(help).toMatchObject({ code: 0, stderr: '' });
  expect(none).toEqual(help);
});

test('a misspelt command or option ends with 2 and the nearest one', async () => {
  const [command, option] = await Promise.all([cli.run('wirte', 'a.bin'), cli.run('write', 'a.bin', '--sise', '1')]);
  expect(command).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('Did you mean write?') });
  expect(option).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('Did you mean --size?') });
});

test('a command explains itself, with examples', async () => {
  const commands = ['write', 'up'];
  const helps = await Promise.all(commands.map((command) => cli.run(command, '--help')));
  for (const help of helps) expect(help).toMatchObject({ code: 0, stdout: expect.stringContaining('Examples:') });
});

test("the help of the host is the host's own", async () => {
  const [asked, helped] = await Promise.all([cli.run('host', '--help'), cli.run('help', 'host')]);
  expect(asked).toMatchObject({ code: 0, stdout: expect.stringContaining('--quiet') });
  expect(helped.stdout).toBe(asked.stdout);
});

test('a stack is shown to those who debug, and to nobody else', async () => {
  const plain = await cli.run('verify', '/no/such/file', '--pattern', 'zero');
  expect(plain.code).toBe(1);
  expect(plain.stderr).toMatch(/^penstock: ENOENT.*\n {2}hint: .*\n$/);
  cli.env['PENSTOCK_DEBUG'] = '1';
  const debugged = await cli.run('verify', '/no/such/file', '--pattern', 'zero');
  delete cli.env['PENSTOCK_DEBUG'];
  expect(debugged.stderr).toMatch(/\n {4}at /);
});

test('a reader that leaves early breaks nothing', async () => {
  const help = cli.start('--help');
  help.child.stdout?.destroy();
  expect(await help.ended).toMatchObject({ code: 0, stderr: '' });
});
