/**
 * The Piscina entry: one thread, one AIO context, wiring only.
 *
 * One Piscina task is the thread's whole session. It returns with nothing in flight: Piscina parks an idle thread in
 * Atomics.wait, where it could not reap.
 */
import { constants } from 'node:os';
import { readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { threadId, workerData } from 'node:worker_threads';
import { AioLoop, type OpenedEngine, openEngine } from '@penstock/aio';
import { native } from '@penstock/native';
import { IoError, fromWire, toWire } from '@penstock/contract';
import { Arena, Control, RateTable } from '@penstock/matrix';
import { type AppendAnswer, type AskQueue, WriterThread, runBulk, runWrite } from '@penstock/sink';
import { RootWords, Roots } from '@penstock/disk';
import type {
  FromWriter,
  QueueAnswer,
  ToWriter,
  WriterAnswer,
  WriterSession,
  WriterSetup,
  WriterTask,
} from '../protocol.ts';
import { ThreadEnd } from './thread-end.ts';

const { EAGAIN } = constants.errno;

/** Waits between tries of io_setup while other processes hold all contexts: about two seconds in all. */
const SETUP_WAITS_MS = [50, 150, 400, 600, 800];

const setup = workerData as WriterSetup;
const control = new Control(setup.threadSlots, setup.jobSlots, setup.control);
const index = claim();
const block = control.thread(index);
block.taskId = native.gettid();
// Module level: row memory stays referenced for as long as the thread's context may exist.
const arena = new Arena(setup.arenas[index]!);
/** null where the main thread cleans up after this one. */
const threadEnd = setup.cleansUpItself === true ? openThreadEnd() : null;
const rootWords = new RootWords(setup.threadSlots, setup.roots.length, setup.rootWords);
const roots = new Roots(setup.roots, rootWords, index);
const rates = new RateTable(setup.roots.length, setup.rates);
let starting: Promise<WriterThread> | undefined;

function openThreadEnd(): ThreadEnd {
  const end = ThreadEnd.open(setup.libaio);
  if (end !== null) return end;
  throw new Error(
    'a writer cannot be opened in a worker thread here: without glibc nothing would clean up after it, if that is ' +
      'terminated. Open it in the main thread.',
  );
}

function claim(): number {
  const claimed = control.claimThread(threadId);
  if (claimed === -1) throw new Error('every writer slot of this host is taken: an earlier thread was not cleaned up');
  return claimed;
}

function look(): void {
  starting?.then(
    ({ loop }) => loop.wake(),
    () => {}, // told by the task that began it
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
  const { engine, reason: engineReason } = await createEngine();
  const loop = new AioLoop(engine, dieWith, () => block.turn());
  const { segments, checkpoints, partFiles } = setup;
  const parts = { engine, loop, arena, roots, rates, segments, index, engineReason, checkpoints, partFiles };
  return new WriterThread({ ...parts, askQueue });
}

/** The first way that carries out a write here; waits while other processes hold all contexts. */
async function createEngine(): Promise<OpenedEngine> {
  const { depth, libaio } = setup;
  // Without libaio nothing could destroy a context as the thread ends.
  const choice = threadEnd?.takesContexts === false ? 'positional' : setup.engine;
  for (let tries = 0; ; tries += 1) {
    try {
      return openEngine({ choice, depth, libaio, witness });
    } catch (error) {
      if (!(error instanceof IoError) || error.errno !== -EAGAIN) throw error;
      const waitMs = SETUP_WAITS_MS[tries];
      if (waitMs === undefined) throw contextsUsedUp();
      await setTimeout(waitMs);
    }
  }
}

const witness = {
  onContext: (context: number): void => {
    // At once: one that is tried and given up is destroyed once more at the end, of no effect.
    if (context !== 0) threadEnd?.destroy(context);
    block.context = context;
  },
  onInFlight: (inFlight: number): void => {
    block.inFlight = inFlight;
  },
};

function contextsUsedUp(): IoError {
  const read = (name: string): string => readFileSync(`/proc/sys/fs/${name}`, 'latin1').trim();
  const hint =
    `${read('aio-nr')} of ${read('aio-max-nr')} kernel AIO requests are reserved on this machine and this thread needs ` +
    `${setup.depth} more: stop what holds them, lower --depth, or run: sysctl fs.aio-max-nr=1048576`;
  return new IoError({ syscall: 'io_setup', errno: -EAGAIN, hint });
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
        : await runWrite(thread, task, job);
    return { jobSlot, ok: true, result };
  } catch (error) {
    if ('ring' in task) task.ring.port.close(); // the write itself has done so, if it was begun
    return { jobSlot, ok: false, error: toWire(error) };
  }
}

/** Questions that the main thread has not answered yet. */
const questions = new Map<number, { resolve: (answer: AppendAnswer) => void; reject: (error: Error) => void }>();
let questionCount = 0;
let ask: (message: FromWriter) => void = () => {};

const askQueue: AskQueue = (question) =>
  new Promise((resolve, reject) => {
    const number = (questionCount += 1);
    questions.set(number, { resolve, reject });
    ask({ number, question });
  });

function take(message: QueueAnswer): void {
  const asker = questions.get(message.number);
  questions.delete(message.number);
  if ('answer' in message) asker?.resolve(message.answer);
  else asker?.reject(fromWire(message.error));
}

/** Takes tasks from the session's port and answers each, until the port says that no more will come. */
export default async function serve({ port }: WriterSession): Promise<void> {
  let answers: WriterAnswer[] = [];
  ask = (message) => port.postMessage(message);
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
      else if (message === 'look') look();
      else if (!Array.isArray(message)) take(message);
      else for (const task of message) void perform(task);
    });
    port.postMessage({ threadIndex: index } satisfies FromWriter);
  });
  roots.close(); // parked, no timer of the thread comes round
  port.close();
}
