/**
 * The Piscina entry: one thread, one AIO context, wiring only.
 *
 * One Piscina task is the thread's whole session. It returns with nothing in flight: Piscina parks an idle thread in
 * Atomics.wait, where it could not reap.
 */
import { threadId, workerData } from 'node:worker_threads';
import { AioLoop } from '@penstock/aio';
import { native } from '@penstock/native';
import { toWire } from '@penstock/contract';
import { Arena, Control, FreeingTable, RateTable, ThreadTallies } from '@penstock/matrix';
import { Freeing, WriterThread, runBulk, runTask } from '@penstock/sink';
import { RootWords, Roots } from '@penstock/disk';
import type { FromWriter, ToWriter, WriterAnswer, WriterSession, WriterSetup, WriterTask } from '../protocol.ts';
import { openThreadEngine } from './engine.ts';
import { Questions } from './questions.ts';
import { ThreadEnd } from './thread-end.ts';

const setup = workerData as WriterSetup;
const control = new Control(setup.threadSlots, setup.jobSlots, setup.control);
const index = claim();
const block = control.thread(index);
block.taskId = native.gettid();
// Module level: row memory stays referenced for as long as the thread's context may exist.
const arena = new Arena(setup.arenas[index]!);
/** null if the main thread cleans up after this one. */
const threadEnd = setup.cleansUpItself === true ? ThreadEnd.open(setup.libaio) : null;
const rootWords = new RootWords(setup.threadSlots, setup.roots.length, setup.rootWords);
const roots = new Roots(setup.roots, rootWords, index);
const rates = new RateTable(setup.roots.length, setup.rates);
const tally = new ThreadTallies(setup.threadSlots, setup.tallies).of(index);
const questions = new Questions();
const freeing =
  setup.freeing === undefined
    ? undefined
    : new Freeing(new FreeingTable(setup.threadSlots, setup.freeing), index, () => post('frees'));
/** Into the port of the session. */
let post: (message: FromWriter) => void = () => {};
let starting: Promise<WriterThread> | undefined;

function claim(): number {
  const claimed = control.claimThread(threadId);
  if (claimed === -1) throw new Error('every writer slot of this host is taken: an earlier thread was not cleaned up');
  return claimed;
}

function wake(): void {
  starting?.then(
    ({ loop }) => loop.wake(),
    () => {}, // reported by the task that began it
  );
}

/** The thread's context, made with the first task: a refusal then is that job's error, not the pool's end. */
async function writerThread(): Promise<WriterThread> {
  starting ??= start();
  try {
    return await starting;
  } catch (error) {
    starting = undefined; // the next task tries again
    throw error;
  }
}

async function start(): Promise<WriterThread> {
  const { engine, reason: engineReason } = await openThreadEngine(setup, block, threadEnd);
  const loop = new AioLoop(engine, dieWith, () => block.turn());
  const { segments, checkpoints, partFiles } = setup;
  const parts = { engine, loop, arena, roots, rates, segments, index, engineReason, checkpoints, partFiles, freeing };
  return new WriterThread({ ...parts, tally, askQueue: questions.ask });
}

/** The context is broken: what is in flight can no longer be reaped here, so the main thread must clean up. */
function dieWith(error: unknown): void {
  setImmediate(() => {
    throw error;
  });
}

async function write(task: WriterTask): Promise<WriterAnswer> {
  const { jobSlot } = task;
  try {
    const thread = await writerThread();
    const job = control.job(jobSlot);
    const result =
      'bulk' in task
        ? await runBulk(thread, task, job, new Control(0, task.laneCount, task.lanes))
        : await runTask(thread, task, job);
    return { jobSlot, ok: true, result };
  } catch (error) {
    if ('ring' in task) task.ring.port.close(); // the write itself has done so, if it was begun
    return { jobSlot, ok: false, error: toWire(error) };
  }
}

/** Takes tasks from the session's port and answers each, until 'end' comes. */
export default async function serve({ port }: WriterSession): Promise<void> {
  let answers: WriterAnswer[] = [];
  post = (message) => port.postMessage(message);
  questions.post = post;
  const send = (): void => {
    const ended = answers;
    answers = [];
    port.postMessage(ended);
  };
  const perform = async (task: WriterTask): Promise<void> => {
    const answer = await write(task);
    // After all that ended together, and before the loop waits for the kernel again.
    if (answers.length === 0) queueMicrotask(send);
    answers.push(answer);
  };
  await new Promise<void>((resolve) => {
    port.on('message', (message: ToWriter) => {
      if (message === 'end') resolve();
      else if (message === 'wake') wake();
      else if (!Array.isArray(message)) questions.take(message);
      else for (const task of message) void perform(task);
    });
    port.postMessage({ threadIndex: index } satisfies FromWriter);
  });
  roots.close(); // parked, no timer of the thread comes round
  port.close();
}
