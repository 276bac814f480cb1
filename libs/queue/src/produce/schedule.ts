/** Schedules: writes that are added again and again, by the clock. Hosts add them, so at least one must run. */
import { ANY_HOST, type JobRequest, type JobRequestInput, RequestError } from '@penstock/contract';
import { parseJob } from '@penstock/contract/judging';
import type { JobSchedulerJson, JobsOptions, Queue, RepeatOptions } from 'bullmq';
import { assertName, assertRepeat } from './given.ts';
import { JOB_NAME } from '../names.ts';

/** When a scheduled write is due: every so many milliseconds, or as a cron pattern says. */
export type Repeat = Omit<RepeatOptions, 'key' | 'jobId' | 'prevMillis' | 'count'>;

/** A schedule, as the queue has it. */
export interface Schedule {
  name: string;
  request: JobRequest;
  /** Milliseconds between two writes, or the cron pattern and its time zone. */
  every?: number;
  pattern?: string;
  tz?: string;
  /** When the next is due, in milliseconds since 1970. */
  nextAtMs?: number;
}

/** Makes the schedule `name`, or changes it. Resolves with the id of the next job. @throws RequestError */
export async function upsertSchedule(
  queue: Queue,
  name: string,
  repeat: Repeat,
  input: JobRequestInput,
  options: Omit<JobsOptions, 'jobId' | 'repeat' | 'delay'>,
): Promise<string> {
  assertName('name', name);
  assertRepeat(repeat);
  const request = parseJob(input);
  const host = request.target?.host ?? ANY_HOST;
  if (host !== ANY_HOST) {
    // BullMQ makes the ids of these jobs, and an id without a host's name does not lead to that host's queue.
    const accepted = `"${ANY_HOST}": schedules are for any host; to choose one, add each write when it is due`;
    throw new RequestError({ field: 'target.host', value: host, accepted });
  }
  const next = await queue.upsertJobScheduler(name, repeat, { name: JOB_NAME, data: request, opts: options });
  return next.id ?? '';
}

/** All schedules, the soonest first. */
export async function listSchedules(queue: Queue): Promise<Schedule[]> {
  const found = await queue.getJobSchedulers(0, -1, true);
  return found.map(scheduleOf);
}

function scheduleOf({ key, template, every, pattern, tz, next }: JobSchedulerJson<JobRequest>): Schedule {
  return {
    name: key,
    request: template?.data as JobRequest,
    ...(every == null ? {} : { every }),
    ...(pattern == null ? {} : { pattern }),
    ...(tz == null ? {} : { tz }),
    ...(next == null ? {} : { nextAtMs: next }),
  };
}
