import { once } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Queue, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import { redisOptions } from '../connection/address.ts';
import { RedisServer } from '../redis-server.fixture.ts';
import { Signal, Stage } from '../stage.fixture.ts';
import { composedScript, type DefinedScripts } from './composed-script.ts';
import { joinEnds } from './joint-ends.ts';
import { type Ended, type RunOptions, runAll } from './joint-ends.fixture.ts';

let stage: Stage;
beforeEach(async () => {
  stage = await Stage.open();
});
const toClose: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of toClose.splice(0).toReversed()) await close();
  await stage.clear();
});

function run(more: Partial<RunOptions> & Pick<RunOptions, 'joint' | 'each'>): Promise<Ended> {
  const connection = redisOptions(stage.connection, 'worker');
  return runAll({ connection, redis: stage.client, prefix: more.joint ? '{joint}' : '{alone}', ...more });
}

/** Keys and parents name the prefix of the run. */
const comparable = ({ jobs, events, errors }: Ended): unknown =>
  JSON.parse(JSON.stringify({ jobs, events, errors }).replaceAll('{joint}', '{alone}')) as unknown;

test('2,000 jobs that end in every way there is end the same way together and one by one', async () => {
  const alone = await run({ joint: false, each: 110 });
  const joint = await run({ joint: true, each: 110 });
  expect(Object.keys(joint.events).length).toBeGreaterThan(2000);
  expect(comparable(joint)).toEqual(comparable(alone));
  expect(joint.notes).toEqual([]);
  // Those that are put off or tried again go by scripts of their own in both.
  expect(joint.scriptCalls).toBeLessThan(alone.scriptCalls / 2);
}, 120_000);

test('a limit on the rate of jobs holds for ends that fetch the next one together', async () => {
  const limiter = { max: 20, duration: 50 };
  const alone = await run({ joint: false, each: 12, limiter });
  const joint = await run({ joint: true, each: 12, limiter });
  expect(comparable(joint)).toEqual(comparable(alone));
}, 60_000);

test('scripts that Redis has forgotten under load are sent again, and no end is lost', async () => {
  const alone = await run({ joint: false, each: 20 });
  const joint = await run({
    joint: true,
    each: 20,
    during: (group) => (group % 3 === 0 ? stage.client.script('FLUSH') : Promise.resolve()),
  });
  expect(comparable(joint)).toEqual(comparable(alone));
  expect(joint.notes).toEqual([]);
}, 60_000);

/** Has the client of `worker` define another script than it is asked to. */
async function defining(worker: Worker, change: (lua: string) => string): Promise<void> {
  const client = (await worker.getBackend().client) as unknown as {
    defineCommand: (name: string, definition: { lua: string }) => void;
  };
  const define = client.defineCommand;
  client.defineCommand = (name, definition) => define(name, { ...definition, lua: change(definition.lua) });
}

test('ends that come one after another while Redis is busy wait for it together', async () => {
  const count = 64;
  const queue = new Queue('slow', { connection: redisOptions(stage.connection, 'worker') });
  toClose.push(() => queue.close());
  await queue.addBulk(Array.from({ length: count }, () => ({ name: 'write', data: {} })));
  const begun = new Signal();
  const held: (() => void)[] = [];
  const perform = (): Promise<void> =>
    new Promise((resolve) => {
      held.push(resolve);
      if (held.length === count) begun.give();
    });
  const connection = redisOptions(stage.connection, 'worker');
  const worker = new Worker('slow', perform, { connection, concurrency: count, skipLockRenewal: true });
  toClose.push(() => worker.close(true));
  joinEnds(worker, () => {});
  let ended = 0;
  const allEnded = new Signal();
  worker.on('completed', () => {
    ended += 1;
    if (ended === count) allEnded.give();
  });
  await begun.given;
  await worker.pause(true); // fetches nothing more
  await stage.client.config('RESETSTAT');
  await stage.client.client('PAUSE', 500);
  for (const end of held) {
    end();
    await setImmediate(); // each in a turn of its own
  }
  await allEnded.given;
  const stats = await stage.client.info('commandstats');
  const calls = Number(/cmdstat_evalsha:calls=(\d+)/.exec(stats)![1]);
  expect(calls).toBeLessThan(10); // two were under way when Redis stopped answering, and the others need two
}, 20_000);

test('a Redis that refuses the script for many gets the ends one by one, and that is noted once', async () => {
  const alone = await run({ joint: false, each: 20 });
  const joint = await run({ joint: true, each: 20, before: (worker) => defining(worker, (lua) => `${lua} end`) });
  expect(comparable(joint)).toEqual(comparable(alone));
  expect(joint.notes).toEqual([expect.stringMatching(/^ends of jobs are sent to Redis one by one.*compil/s)]);
}, 60_000);

test('a Redis that is busy for a moment gets those ends one by one, and later ones together again', async () => {
  const busy = "if redis.call('INCR', '{joint}busy') <= 3 then return redis.error_reply('BUSY Redis is busy.') end";
  const alone = await run({ joint: false, each: 40 });
  const joint = await run({ joint: true, each: 40, before: (worker) => defining(worker, (lua) => `${busy}\n${lua}`) });
  expect(comparable(joint)).toEqual(comparable(alone));
  expect(Number(await stage.client.get('{joint}busy'))).toBeGreaterThan(6);
  expect(joint.notes).toEqual([]);
}, 60_000);

test('another BullMQ is left to end its jobs one by one, and that is noted once', async () => {
  const alone = await run({ joint: false, each: 5 });
  const joint = await run({
    joint: true,
    each: 5,
    before: async (worker) => {
      const client = (await worker.getBackend().client) as unknown as { scriptsSet: Record<string, { lua: string }> };
      client.scriptsSet['moveToFinished:6.7.0']!.lua += '-- changed';
    },
  });
  expect(comparable(joint)).toEqual(comparable(alone));
  expect(joint.scriptCalls).toBeGreaterThan(alone.scriptCalls * 0.9);
  expect(joint.notes).toEqual([expect.stringContaining('is not the one that is known')]);
}, 60_000);

test('a master that has become a replica refuses ends sent together, and the client connects anew as for one', async () => {
  const [old, successor] = await Promise.all([RedisServer.start(), RedisServer.start()]);
  toClose.push(() => Promise.all([old.close(), successor.close()]));
  await successor.follow(old);
  const queue = new Queue('many', { connection: { port: old.port } });
  toClose.push(() => queue.close());
  const begun = new Signal();
  const finish = new Signal();
  let count = 0;
  const perform = async (): Promise<void> => {
    count += 1;
    if (count === 4) begun.give();
    await finish.given;
  };
  const connection = redisOptions({ url: old.url }, 'worker');
  const worker = new Worker('many', perform, {
    connection,
    concurrency: 4,
    skipStalledCheck: true,
    skipLockRenewal: true,
  });
  toClose.push(() => worker.close(true));
  worker.on('error', () => {});
  joinEnds(worker, () => {});
  await queue.addBulk(Array.from({ length: 4 }, () => ({ name: 'write', data: {} })));
  await begun.given;
  await old.client.set('last', 'word'); // WAIT looks at what its own connection wrote
  await worker.pause(true); // nothing but the ends is sent from now on
  const client = (await worker.getBackend().client) as unknown as Redis;
  expect(await old.client.wait(1, 10_000)).toBe(1);
  await successor.lead();
  await old.follow(successor);
  const isAnew = once(client, 'reconnecting');
  finish.give();
  await isAnew;
}, 20_000);

test.each([
  ['no script', {}, 'not to be found'],
  ['a later BullMQ', { 'moveToFinished:6.8.0': { lua: 'return 0', numberOfKeys: 14 } }, 'BullMQ is 6.8.0'],
  ['a script of another text', { 'moveToFinished:6.7.0': { lua: 'return 0', numberOfKeys: 14 } }, 'not the one'],
])('of %s none is composed', (_what, scripts, why) => {
  expect(composedScript(scripts)).toEqual({ why: expect.stringContaining(why) });
});

test("BullMQ's text is composed unchanged, and its functions are made once a call, not once an end", async () => {
  const queue = new Queue('many', { connection: redisOptions(stage.connection, 'producer') });
  toClose.push(() => queue.close());
  const { scriptsSet } = (await queue.getBackend().client) as unknown as { scriptsSet: DefinedScripts };
  const { lua } = composedScript(scriptsSet) as { lua: string };
  const [, functions, statements] =
    /^(.*\n)local function endJob\(KEYS, ARGV\)\n(.*?)\nend\n\nlocal keys, answers/s.exec(lua)!;
  expect(functions! + statements!).toBe(scriptsSet['moveToFinished:6.7.0']!.lua);
  expect(statements).not.toMatch(/\bfunction\b/);
});
