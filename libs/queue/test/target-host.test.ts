/** Writes for one host: which queue they go to, who takes them, and what happens to those in the wrong one. */
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Queue } from 'bullmq';
import { redisOptions } from '../src/connection/address.ts';
import { JobLimit } from '../src/work/job-limit.ts';
import { collect, resultOf, Signal, Stage } from '../src/stage.fixture.ts';

let stage: Stage;
beforeEach(async () => {
  stage = await Stage.open();
});
afterEach(() => stage.clear());

const ofHost = (host: string) => ({ path: 'a.bin', size: 1, target: { host } });

/** A host that takes from both queues, and notes what it was given. */
async function startHost(name: string, taken: string[]): Promise<void> {
  const jobLimit = new JobLimit(2);
  const perform: Parameters<Stage['worker']>[0] = async (request, job) => {
    taken.push(`${name} ${job.id}`);
    return resultOf(request);
  };
  for (const queue of ['any', 'own'] as const)
    await stage.worker(perform, { host: name, queue, jobLimit, concurrency: 2 });
}

test('a write for one host is taken by that host, and its id alone leads to it', async () => {
  const taken: string[] = [];
  const queue = stage.queue();
  await startHost('disk-1', taken);
  await startHost('disk-2', taken);
  const ids = await queue.addBulk([ofHost('disk-2'), ofHost('disk-1'), ofHost('disk-2')]);
  for (const id of ids) expect((await collect(queue.watch(id))).at(-1)).toMatchObject({ type: 'completed' });
  expect(taken.toSorted()).toEqual([`disk-1 ${ids[1]}`, `disk-2 ${ids[0]}`, `disk-2 ${ids[2]}`].toSorted());
  expect(await queue.job(ids[0]!)).toMatchObject({ id: ids[0], data: { target: { host: 'disk-2' } } });
  expect(await queue.workers('disk-1')).toBe(1);
  expect(await queue.workers('disk-3')).toBe(0);
  expect((await queue.hosts()).map(({ name }) => name)).toEqual(['disk-1', 'disk-2']);
});

test('an id of the producer gets the name of the host', async () => {
  const queue = stage.queue();
  expect(await queue.add(ofHost('disk-1'), { jobId: 'nightly' })).toBe('nightly@disk-1');
  await expect(queue.add({ path: 'a', size: 1 }, { jobId: 'nightly@disk-1' })).rejects.toMatchObject({
    field: 'jobId',
  });
});

test('what a plain producer put into the wrong queue is refused, and the right one named', async () => {
  const taken: string[] = [];
  await startHost('disk-1', taken);
  const queue = stage.queue();
  const { id = '' } = await stage.plainQueue().add('write', ofHost('disk-2'));
  expect((await collect(queue.watch(id))).at(-1)).toMatchObject({
    type: 'failed',
    error: { field: 'target.host', message: expect.stringContaining('penstock-disk-2') },
  });
  const own = new Queue('penstock-disk-1', { connection: redisOptions(stage.connection) });
  try {
    for (const jobId of ['wrong@disk-1', 'right@disk-1']) {
      await own.add('write', ofHost(jobId.startsWith('wrong') ? 'disk-2' : 'disk-1'), { jobId });
    }
    expect((await collect(queue.watch('wrong@disk-1'))).at(-1)).toMatchObject({
      type: 'failed',
      error: { field: 'target.host', message: expect.stringContaining('penstock-disk-2') },
    });
    expect((await collect(queue.watch('right@disk-1'))).at(-1)).toMatchObject({ type: 'completed' });
  } finally {
    await own.close();
  }
  expect(taken).toEqual(['disk-1 right@disk-1']);
});

test('both queues together never run more jobs than there are job slots', async () => {
  const jobLimit = new JobLimit(2);
  const queue = stage.queue();
  const twoRun = new Signal();
  const go = new Signal();
  let running = 0;
  let most = 0;
  const perform: Parameters<Stage['worker']>[0] = async (request) => {
    running += 1;
    most = Math.max(most, running);
    if (running === 2) twoRun.give();
    await go.given;
    running -= 1;
    return resultOf(request);
  };
  const ids = await queue.addBulk(
    Array.from({ length: 12 }, (_, index) => (index % 2 === 0 ? ofHost('disk-1') : { path: 'b', size: 1 })),
  );
  for (const of of ['any', 'own'] as const) {
    await stage.worker(perform, { host: 'disk-1', queue: of, jobLimit, concurrency: 2 });
  }
  await twoRun.given;
  go.give();
  for (const id of ids) expect((await collect(queue.watch(id))).at(-1)).toMatchObject({ type: 'completed' });
  expect(most).toBe(2);
});
