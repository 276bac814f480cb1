import { expect, test } from '@jest/globals';
import { HostKeeper } from './host-keeper.ts';

/** A host that ends when told. */
function fakeHost(): { ended: Promise<string>; outcome: string | null; stop(): Promise<void>; die(how: string): void } {
  let resolveEnd: (how: string) => void = () => {};
  const ended = new Promise<string>((resolve) => {
    resolveEnd = resolve;
  });
  const host = {
    ended,
    outcome: null as string | null,
    stop: async () => host.die('exit code 0'),
    die: (how: string) => {
      host.outcome ??= how;
      resolveEnd(how);
    },
  };
  return host;
}

function keeperOver(
  workers: () => number,
  pollMs = 1,
): {
  keeper: HostKeeper;
  started: ReturnType<typeof fakeHost>[];
  said: string[];
  startSeen: () => Promise<void>;
} {
  const started: ReturnType<typeof fakeHost>[] = [];
  const said: string[] = [];
  let seen: () => void = () => {};
  const keeper = new HostKeeper({
    workers: async () => workers(),
    start: async () => {
      const host = fakeHost();
      started.push(host);
      seen();
      return host;
    },
    say: (text) => said.push(text),
    signal: new AbortController().signal,
    pollMs,
  });
  const startSeen = (): Promise<void> =>
    new Promise((resolve) => {
      seen = resolve;
    });
  return { keeper, started, said, startSeen };
}

test('a queue that is served gets no host', async () => {
  const { keeper, started } = keeperOver(() => 1);
  expect(await keeper.ensure()).toBe(true);
  expect(keeper.ownsHost).toBe(false);
  await keeper.stop();
  expect(started).toHaveLength(0);
});

test('a queue that nobody serves gets one, which is stopped at the end', async () => {
  const { keeper, started } = keeperOver(() => 0);
  expect(await keeper.ensure()).toBe(false);
  await keeper.stop();
  expect(started.map(({ outcome }) => outcome)).toEqual(['exit code 0']);
});

test('when the host of another command goes, one is started', async () => {
  let workers = 1;
  const { keeper, started, startSeen } = keeperOver(() => workers);
  await keeper.ensure();
  const kept = keeper.keep();
  const seen = startSeen();
  workers = 0;
  await seen;
  await keeper.stop();
  await kept;
  expect(started).toHaveLength(1);
});

test('when the write is put back, one is started as soon as the host that did so is gone', async () => {
  let workers = 1;
  const { keeper, started, startSeen } = keeperOver(() => workers, 600_000);
  await keeper.ensure();
  const kept = keeper.keep();
  const seen = startSeen();
  keeper.hurry();
  expect(started).toHaveLength(0); // it counts while it is on its way out
  workers = 0;
  await seen;
  await keeper.stop();
  await kept;
  expect(started).toHaveLength(1);
});

test('a host that dies is replaced and told of, and not for ever', async () => {
  const { keeper, started, said, startSeen } = keeperOver(() => 0);
  await keeper.ensure();
  const kept = keeper.keep();
  for (let death = 1; death < 3; death += 1) {
    const seen = startSeen();
    started.at(-1)?.die('killed by SIGSEGV');
    await seen;
  }
  started.at(-1)?.die('killed by SIGSEGV');
  await expect(kept).rejects.toThrow(/killed by SIGSEGV.*stays in the queue/);
  await keeper.stop();
  expect(said).toHaveLength(2);
});
