/** Jobs that end in every way there is, and what is left of them in Redis when all have. */
import { Job, UnrecoverableError, DelayedError, FlowProducer, Queue, Worker, type WorkerOptions } from 'bullmq';
import type { Redis } from 'ioredis';
import type { RedisClientOptions } from '../connection/address.ts';
import { joinEnds } from './joint-ends.ts';

const QUEUE = 'many';
const CONCURRENCY = 64;
/** Of those that end in one turn. */
const GROUP = 24;

/** What a job is to come to, by its name. */
const ends = {
  completed: async () => 'done',
  'completed with much': async () => 'x'.repeat(3000),
  'fails once': async ({ attemptsMade }: Job) => {
    if (attemptsMade === 0) throw new Error('at first');
    return 'then';
  },
  'fails once, and waits': async ({ attemptsMade }: Job) => {
    if (attemptsMade === 0) throw new Error('at first');
    return 'later';
  },
  'fails for good': async () => {
    throw new Error('again and again');
  },
  'cannot be done': async () => {
    throw new UnrecoverableError('never');
  },
  'is put off': async (job: Job, token: string) => {
    if (job.attemptsStarted > 1) return 'after a while';
    await job.moveToDelayed(Date.now() + 1, token);
    throw new DelayedError();
  },
  'is removed when it completes': async () => 'gone',
  'is removed when it fails': async () => {
    throw new Error('gone');
  },
  'is removed under way': async (job: Job, _token: string, redis: Redis, key: string) => {
    await redis
      .multi()
      .del(key, `${key}:lock`)
      .lrem(key.replace(/[^:]+$/, 'active'), 0, job.id!)
      .exec();
    return 'nobody asks';
  },
  'loses its lock': async (_job: Job, _token: string, redis: Redis, key: string) => {
    await redis.del(`${key}:lock`);
    return 'too late';
  },
  'loses its lock to another': async (_job: Job, _token: string, redis: Redis, key: string) => {
    await redis.set(`${key}:lock`, 'of another');
    return 'too late';
  },
  'has a parent that cannot be read': async (_job: Job, _token: string, redis: Redis, key: string) => {
    await redis.hset(key, 'parent', '{"id":');
    return 'refused by the script itself';
  },
  'has a count that is none': async (_job: Job, _token: string, redis: Redis, key: string) => {
    await redis.hset(key, 'atm', 'many');
    return 'refused by Redis';
  },
  'is urgent': async () => 'soon',
} satisfies Record<string, (job: Job, token: string, redis: Redis, key: string) => Promise<string>>;

type Kind = keyof typeof ends;

const optionsOf = (kind: Kind, index: number): Record<string, unknown> => ({
  jobId: `${kind.replaceAll(' ', '-')}-${index}`,
  ...(kind.startsWith('fails once') ? { attempts: 3 } : {}),
  ...(kind === 'fails once, and waits' ? { backoff: { type: 'fixed', delay: 1 } } : {}),
  ...(kind === 'fails for good' ? { attempts: 2 } : {}),
  ...(kind === 'cannot be done' ? { attempts: 5 } : {}),
  ...(kind === 'is removed when it completes' ? { removeOnComplete: true } : {}),
  ...(kind === 'is removed when it fails' ? { removeOnFail: true } : {}),
  ...(kind === 'is urgent' ? { priority: 1 + (index % 5) } : {}),
});

/** What one run left, and how it came to that. */
export interface Ended {
  /** By job: where it is, what its hash says and what is kept beside it. */
  jobs: Record<string, unknown>;
  /** By job: the events of its life, in their order. */
  events: Record<string, string[]>;
  /** What the worker reported, in the order of the alphabet. */
  errors: string[];
  notes: string[];
  scriptCalls: number;
}

export interface RunOptions {
  connection: RedisClientOptions;
  redis: Redis;
  prefix: string;
  joint: boolean;
  /** How many of each way to end. */
  each: number;
  limiter?: WorkerOptions['limiter'];
  /** Called with the worker before it begins. */
  before?: (worker: Worker) => Promise<void>;
  /** Called as each group of ends is about to come. */
  during?: (group: number) => Promise<unknown>;
}

/** Adds the jobs, lets a worker end them, and returns what is left. */
export async function runAll(o: RunOptions): Promise<Ended> {
  const { connection, redis, prefix } = o;
  const queue = new Queue(QUEUE, { connection, prefix, streams: { events: { maxLen: 1_000_000 } } });
  await queue.waitUntilReady();
  const total = await addAll(queue, o);
  await redis.config('RESETSTAT');
  const errors: string[] = [];
  const notes: string[] = [];
  const held: (() => void)[] = [];
  const release = async (): Promise<void> => {
    const group = held.splice(0);
    groups += 1;
    await o.during?.(groups);
    for (const end of group) end();
  };
  let groups = 0;
  const worker = new Worker(
    QUEUE,
    async (job, token = '') => {
      // Together with others, so that their ends come in one turn.
      await new Promise<void>((resolve) => {
        held.push(resolve);
        if (held.length === GROUP) void release();
        else if (held.length === 1) setTimeout(() => void release(), 20);
      });
      return ends[job.name as Kind](job, token, redis, queue.toKey(job.id!));
    },
    {
      connection,
      prefix,
      concurrency: CONCURRENCY,
      autorun: false,
      skipStalledCheck: true,
      skipLockRenewal: true,
      lockDuration: 600_000,
      ...(o.limiter === undefined ? {} : { limiter: o.limiter }),
    },
  );
  if (o.joint) joinEnds(worker, (text) => notes.push(text));
  worker.on('error', (error) => errors.push(plain(error.message)));
  await o.before?.(worker);
  let over = 0;
  await new Promise<void>((resolve) => {
    const count = (): void => {
      over += 1;
      if (over === total) resolve();
    };
    worker.on('completed', count);
    worker.on('failed', (job) => {
      if (job?.finishedOn !== undefined) count();
    });
    // Of a job that cannot be ended: BullMQ tries to complete it, and then to fail it.
    worker.on('error', count);
    void worker.run();
  });
  await worker.close();
  const stats = await redis.info('commandstats');
  const callsOf = (name: string): number => Number(new RegExp(`cmdstat_${name}:calls=(\\d+)`).exec(stats)?.[1] ?? 0);
  const scriptCalls = callsOf('evalsha') + callsOf('eval');
  const left = await leftOf(redis, `${prefix}:${QUEUE}:`);
  await queue.close();
  return { ...left, errors: errors.toSorted(), notes, scriptCalls };
}

/** How many ends there will be to count: ended jobs, and the errors of those that cannot be ended. */
async function addAll(queue: Queue, { connection, prefix, each }: RunOptions): Promise<number> {
  await queue.pause();
  const kinds = Object.keys(ends) as Kind[];
  const jobs = Array.from({ length: each }, (_, index) =>
    kinds.map((name) => ({ name, data: { index }, opts: optionsOf(name, index) })),
  ).flat();
  await queue.addBulk(jobs);
  const flows = new FlowProducer({ connection, prefix });
  const child = (name: Kind, id: string): object => ({ name, queueName: QUEUE, opts: { jobId: id } });
  await flows.addBulk(
    Array.from({ length: each }, (_, index) => ({
      name: 'completed',
      queueName: QUEUE,
      opts: { jobId: `parent-${index}` },
      children: [
        child('completed', `child-a-${index}`),
        child('is urgent', `child-b-${index}`),
        // Of every third family one child fails, and its parent does not mind.
        index % 3 === 0
          ? {
              name: 'fails for good',
              queueName: QUEUE,
              opts: { jobId: `child-c-${index}`, ignoreDependencyOnFailure: true },
            }
          : child('completed', `child-c-${index}`),
      ] as never,
    })),
  );
  await flows.close();
  await queue.resume();
  const endless = kinds.filter((kind) => /removed under way|loses its lock|cannot be read|that is none/.test(kind));
  return each * (kinds.length - endless.length + 4) + each * endless.length * ERRORS_OF_ENDLESS;
}

/** That its completion is refused, and then that its failure is. */
const ERRORS_OF_ENDLESS = 2;

/** Without what differs from script to script: its hash, and its lines. */
const plain = (text: string): string =>
  text.replaceAll(/ ?script: [\da-f]{40}, on @?user_script:\d+\.?/g, '').replaceAll(/user_script:\d+/g, 'user_script');

const TIMES: ReadonlySet<string> = new Set(['timestamp', 'processedOn', 'finishedOn', 'stacktrace']);

/** What Redis holds of each job, without times. */
async function leftOf(redis: Redis, begin: string): Promise<Pick<Ended, 'jobs' | 'events'>> {
  const jobs: Record<string, unknown> = {};
  const places: Record<string, string[]> = {};
  const note = (ids: string[], place: string): void => {
    for (const id of ids) (places[id] ??= []).push(place);
  };
  for (const list of ['wait', 'active', 'paused']) note(await redis.lrange(begin + list, 0, -1), list);
  for (const set of ['completed', 'failed', 'delayed', 'prioritized', 'waiting-children'])
    note(await redis.zrange(begin + set, '0', '-1'), set);
  note(await redis.smembers(`${begin}stalled`), 'stalled');
  for (const key of (await redis.keys(`${begin}*`)).toSorted()) {
    const id = key.slice(begin.length);
    if (!/^[a-z,-]+-\d+(?::.*)?$/.test(id)) continue;
    const type = await redis.type(key);
    if (type !== 'hash') jobs[id] = type === 'string' ? 'a lock' : type === 'set' ? await redis.smembers(key) : type;
    else {
      const hash = Object.entries(await redis.hgetall(key)).filter(([field]) => !TIMES.has(field));
      const sorted = Object.fromEntries(hash.toSorted(([a], [b]) => a.localeCompare(b)));
      jobs[id] = { hash: sorted, at: places[id] ?? [], hasEnded: (await redis.hexists(key, 'finishedOn')) === 1 };
    }
  }
  for (const [id, at] of Object.entries(places)) jobs[id] ??= { at };
  const events: Record<string, string[]> = {};
  for (const [, fields] of await redis.xrange(`${begin}events`, '-', '+')) {
    const event = Object.fromEntries(fields.flatMap((name, at) => (at % 2 === 0 ? [[name, fields[at + 1]!]] : [])));
    if (event['jobId'] !== undefined) (events[event['jobId']] ??= []).push(`${event['prev'] ?? ''} ${event['event']}`);
  }
  return { jobs, events };
}
