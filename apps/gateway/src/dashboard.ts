/** The dashboard: bull-board over the write queue, with our words for what it shows. */
import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import { FastifyAdapter } from '@bull-board/fastify';
import { requestJsonSchema } from '@penstock/contract';
import type { Queue } from 'bullmq';
import type { FastifyPluginCallback } from 'fastify';
import { type ShownJob, readableName, readableProgress, readableResult } from './readable.ts';

/** Seconds between two looks of the page: hosts report twice a second. */
const POLL_SECONDS = 1;

/** The fastify plugin that serves the dashboard of `queue` below `basePath`. */
export function dashboard(queue: Queue, basePath: string): FastifyPluginCallback {
  const adapter = new BullMQAdapter(queue, {
    description: 'File writes: one job each',
    jobDataSchema: requestJsonSchema,
  });
  adapter.setFormatter('name', (job: ShownJob) => readableName(job));
  adapter.setFormatter('progress', readableProgress);
  adapter.setFormatter('returnValue', readableResult);
  // The data stays as it is: the page's own "duplicate" adds a job from what it shows.
  const server = new FastifyAdapter();
  server.setBasePath(basePath);
  createBullBoard({
    queues: [adapter],
    serverAdapter: server,
    options: {
      uiConfig: {
        boardTitle: 'Penstock',
        jobDetails: { defaultTab: 'Progress' },
        pollingInterval: { showSetting: true, forceInterval: POLL_SECONDS },
        hideDocsLink: true,
      },
    },
  });
  return server.registerPlugin();
}
