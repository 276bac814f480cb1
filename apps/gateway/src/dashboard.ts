/** The dashboard: bull-board over the write queue, with our words for what it shows. */
import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import { FastifyAdapter } from '@bull-board/fastify';
import type { BeforeHookResult, HookContext } from '@bull-board/api/typings/app';
import type { RequestError } from '@penstock/contract';
import { jobJsonSchema, parseJob } from '@penstock/contract/judging';
import { JOB_NAME } from '@penstock/queue';
import type { Queue } from 'bullmq';
import type { FastifyPluginCallback } from 'fastify';
import { type ShownJob, readableName, readableProgress, readableResult } from './readable.ts';

/** Seconds between two looks of the page: hosts report twice a second. */
const POLL_SECONDS = 1;

/** bull-board's route of its form for adding a job, which "duplicate" uses too. */
const ADD_ROUTE = '/api/queues/:queueName/add';

/**
 * What the form sends becomes a write, whatever name it has: the form sends the readable text that the page shows, and
 * hosts refuse jobs of other names. A request that no host could carry out is refused here, while it can still be corrected.
 */
function judgeAdded({ route, request }: HookContext): BeforeHookResult {
  if (route !== ADD_ROUTE) return undefined;
  const { body } = request;
  body['name'] = JOB_NAME;
  try {
    parseJob(body['data']);
    return undefined;
  } catch (error) {
    const { message } = error as RequestError;
    return { allow: false, status: 400, errorKey: 'ERRORS.INVALID_REQUEST_BODY', message };
  }
}

export interface Dashboard {
  /** What fastify is to serve below the base path. */
  plugin: FastifyPluginCallback;
  /** Shows one more queue. */
  show(queue: Queue, description: string): void;
  /** Adds to the description of a queue that is shown why it stands still; null: it goes on. */
  setStandstill(queueName: string, why: string | null): void;
}

/** The dashboard of `queue` below `basePath`, to which others can be added. */
export function dashboard(queue: Queue, basePath: string): Dashboard {
  // The data stays as it is: the page's own "duplicate" adds a job from what it shows.
  const server = new FastifyAdapter();
  server.setBasePath(basePath);
  const standstills = new Map<string, string>();
  const adapterOf = (shown: Queue, description: string): BullMQAdapter => {
    const adapter = makeAdapter(shown, description);
    adapter.getDescription = () => {
      const why = standstills.get(shown.name);
      return why === undefined ? description : `${description} — ${why}`;
    };
    return adapter;
  };
  const board = createBullBoard({
    queues: [adapterOf(queue, 'File writes: a job each, or a job for many')],
    serverAdapter: server,
    options: {
      handlerHooks: { before: judgeAdded },
      uiConfig: {
        boardTitle: 'Penstock',
        jobDetails: { defaultTab: 'Progress' },
        pollingInterval: { showSetting: true, forceInterval: POLL_SECONDS },
        hideDocsLink: true,
      },
    },
  });
  return {
    plugin: server.registerPlugin(),
    show: (more, description) => board.addQueue(adapterOf(more, description)),
    setStandstill: (queueName, why) => {
      if (why === null) standstills.delete(queueName);
      else standstills.set(queueName, why);
    },
  };
}

function makeAdapter(queue: Queue, description: string): BullMQAdapter {
  const adapter = new BullMQAdapter(queue, { description, jobDataSchema: jobJsonSchema() });
  adapter.setFormatter('name', (job: ShownJob) => readableName(job));
  adapter.setFormatter('progress', readableProgress);
  adapter.setFormatter('returnValue', readableResult);
  return adapter;
}
