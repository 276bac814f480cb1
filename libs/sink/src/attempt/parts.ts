/** How one attempt names itself on disk: the temporary file that it fills beside the final name. */
import { hash } from 'node:crypto';
import type { WriteRequest } from '@penstock/contract';

/** The temporary names of one job begin like this; `attemptToken` keeps a stalled attempt from touching a later one's. */
export const partPrefix = (jobKey: string): string => `.penstock-${jobKey}-`;
/** The temporary name of one attempt. */
export const partName = (jobKey: string, attemptToken: string): string => `.penstock-${jobKey}-${attemptToken}.part`;

/** True for the temporary name of some job's attempt with this token. */
export const isPartOf = (name: string, attemptToken: string): boolean =>
  partKey(name) !== '' && name === partName(partKey(name), attemptToken);

/** The job's key in a temporary name; '' in any other. */
export const partKey = (name: string): string => /^\.penstock-([^-]+)-/.exec(name)?.[1] ?? '';

/** The key of the job that `jobName` names for ever, for the one file it writes or for this one of a bulk. */
export function jobKeyOf(jobName: string, { root, path }: Pick<WriteRequest, 'root' | 'path'>): string {
  return hash('sha256', `${jobName}\0${root}\0${path}`).slice(0, 16);
}

/** How one attempt names itself on disk. */
export interface AttemptIdentity {
  /** The same for every attempt of one job, different between jobs: letters and digits. */
  jobKey: string;
  /** Different for every attempt: its number, as tokenOf() writes it. */
  attemptToken: string;
  /** True when an earlier attempt of the job was begun: what it left may be taken over or removed. */
  again: boolean;
  /** The job, as the queue that is asked about it names it, without a blank; NO_JOB for a write that nobody tries again. */
  job: string;
}

/** True for a write that fills a temporary file, until that has its name: any other has but the file itself. */
export const hasPart = ({ publish, mode }: Pick<WriteRequest, 'publish' | 'mode'>): boolean =>
  publish === 'atomic' || mode === 'create';

/** The directory of a request's path ('' is the root) and the name in it. */
export function splitPath(path: string): { directory: string; name: string } {
  const slash = path.lastIndexOf('/');
  return { directory: slash === -1 ? '' : path.slice(0, slash), name: path.slice(slash + 1) };
}
