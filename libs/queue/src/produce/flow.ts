/** Flows: shards that are written in any order, on any hosts, and then a manifest of what they came to. */
import {
  type JobRequest,
  type JobRequestInput,
  parseJob,
  RequestError,
  type WriteRequestInput,
} from '@penstock/contract';
import type { FlowJob, JobsOptions } from 'bullmq';
import { assertList } from './given.ts';
import { defaultJobOptions, idForHost, JOB_NAME, queueNameOf } from '../names.ts';

/** Many writes, and one more when all of them are done. */
export interface WriteFlow {
  /** Writes or bulks, each a job of its own. 1 to 100,000. */
  shards: readonly JobRequestInput[];
  /** Where the manifest goes: a JSON list of what the shards came to, in their order. */
  manifest: Omit<WriteRequestInput, 'source' | 'size'>;
  /**
   * What a shard does to the manifest when it fails for good, or a bulk when files of it do. `'fail'` (the default): the
   * manifest's job fails too, and no manifest is written. `'list'`: it is written without those bytes, with the errors
   * instead.
   */
  onShardFailure?: 'fail' | 'list';
}

/** The jobs of a flow. */
export interface FlowIds {
  /** Of the manifest's job: whoever watches it sees the end of the whole. */
  manifest: string;
  /** In the order of the shards. */
  shards: string[];
}

/** The options of a flow's jobs, shards and manifest alike. */
export type FlowOptions = Pick<
  JobsOptions,
  'attempts' | 'backoff' | 'priority' | 'removeOnComplete' | 'removeOnFail' | 'stackTraceLimit'
>;

/** The jobs that `flow` comes to, in BullMQ's form. @throws RequestError, naming the shard */
export function flowJobs(flow: WriteFlow, id: string, options: FlowOptions): { job: FlowJob; ids: FlowIds } {
  const { shards, manifest, onShardFailure = 'fail' } = (flow as WriteFlow | null | undefined) ?? ({} as WriteFlow);
  assertList('shards', shards);
  if (shards.length === 0) {
    throw new RequestError({ field: 'shards', value: shards, accepted: 'at least one write' });
  }
  const opts = { ...defaultJobOptions, ...options };
  const ofShard = onShardFailure === 'fail' ? { failParentOnFailure: true } : { ignoreDependencyOnFailure: true };
  const node = (data: JobRequest, nodeOptions: JobsOptions & { jobId: string }): Omit<FlowJob, 'children'> => ({
    name: JOB_NAME,
    queueName: queueNameOf(nodeOptions.jobId),
    data,
    opts: Object.assign(nodeOptions, opts),
  });
  const requests = shards.map(parseShard);
  const shardIds = requests.map(({ target }, index) => idForHost(`${id}-${index + 1}`, target?.host));
  const asked = parseJob({ ...manifest, source: { kind: 'manifest', shards: shardIds, onShardFailure } });
  const ids: FlowIds = { manifest: idForHost(id, asked.target?.host), shards: shardIds };
  const children = requests.map((request, index) => node(request, { jobId: ids.shards[index]!, ...ofShard }));
  const parent = node(asked, { jobId: ids.manifest });
  return { job: { ...parent, children }, ids };
}

function parseShard(shard: JobRequestInput, index: number): JobRequest {
  try {
    return parseJob(shard);
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
    const { field, value, accepted, message, issues } = error;
    throw new RequestError({ field, value, accepted, issues, message: `shards.${index}: ${message}`, cause: error });
  }
}
