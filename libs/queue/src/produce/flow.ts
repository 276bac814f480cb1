/** Flows: shards that are written in any order, on any hosts, and then a manifest of what they came to. */
import { type JobRequest, type JobRequestInput, RequestError, type WriteRequestInput } from '@penstock/contract';
import { parseJob } from '@penstock/contract/judging';
import type { FlowJob, JobsOptions } from 'bullmq';
import { assertList, parseNamed } from './given.ts';
import { defaultJobOptions, idForHost, JOB_NAME, queueNameOf } from '../names.ts';

/** Many writes, and one more when all of them are done. */
export interface WriteFlow {
  /** Writes or bulks, each a job of its own. 1 to 100,000. */
  shards: readonly JobRequestInput[];
  /** The file that lists, as JSON, what the shards came to, in their order. */
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
  /** Of the manifest's job, which ends after all others. */
  manifest: string;
  /** In the order of the shards. */
  shards: string[];
}

/** The options of a flow's jobs, shards and manifest alike. */
export type FlowOptions = Pick<
  JobsOptions,
  'attempts' | 'backoff' | 'priority' | 'removeOnComplete' | 'removeOnFail' | 'stackTraceLimit'
>;

/** A job of a flow in BullMQ's form. */
interface FlowNode extends Omit<FlowJob, 'children'> {
  data: JobRequest;
  opts: JobsOptions & { jobId: string };
}

/** The jobs that `flow` comes to. @throws RequestError, naming the shard */
export function flowJobs(
  flow: WriteFlow,
  id: string,
  options: FlowOptions,
): { job: FlowNode & { children: FlowNode[] }; ids: FlowIds } {
  const { shards, manifest, onShardFailure = 'fail' } = (flow as WriteFlow | null | undefined) ?? ({} as WriteFlow);
  assertList('shards', shards);
  if (shards.length === 0) {
    throw new RequestError({ field: 'shards', value: shards, accepted: 'at least one write' });
  }
  const opts = { ...defaultJobOptions, ...options };
  const ofShard = onShardFailure === 'fail' ? { failParentOnFailure: true } : { ignoreDependencyOnFailure: true };
  const node = (data: JobRequest, nodeOptions: FlowNode['opts']): FlowNode => ({
    name: JOB_NAME,
    queueName: queueNameOf(nodeOptions.jobId),
    data,
    opts: Object.assign(nodeOptions, opts),
  });
  const requests = shards.map((shard, index) => parseNamed(`shards.${index}`, shard));
  const shardIds = requests.map(({ target }, index) => idForHost(`${id}-${index + 1}`, target?.host));
  const asked = parseJob({ ...manifest, source: { kind: 'manifest', shards: shardIds, onShardFailure } });
  const ids: FlowIds = { manifest: idForHost(id, asked.target?.host), shards: shardIds };
  const children = requests.map((request, index) => node(request, { jobId: ids.shards[index]!, ...ofShard }));
  const parent = node(asked, { jobId: ids.manifest });
  return { job: { ...parent, children }, ids };
}
