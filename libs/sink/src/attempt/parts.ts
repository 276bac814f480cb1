/**
 * The names of an attempt on disk: of the temporary file (the part) that it fills beside the final name.
 * The decision: libs/README.md#temporary-name-per-attempt.
 */
import { hash } from 'node:crypto';
import type { WriteRequest } from '@penstock/contract';

/** The start of all temporary names of one job; the attempt's token follows, so that no two attempts share a file. */
export const partPrefix = (jobKey: string): string => `.penstock-${jobKey}-`;
/** The temporary name of one attempt. */
export const partName = (jobKey: string, attemptToken: string): string => `.penstock-${jobKey}-${attemptToken}.part`;

/** True for the temporary name of some job's attempt with this token. */
export const isPartOf = (name: string, attemptToken: string): boolean =>
  partKey(name) !== '' && name === partName(partKey(name), attemptToken);

/** The job's key in a temporary name; '' in any other. */
export const partKey = (name: string): string => /^\.penstock-([^-]+)-/.exec(name)?.[1] ?? '';

/** The key of a job for one file that it writes; `jobName` is the job's name, which never changes. */
export function jobKeyOf(jobName: string, { root, path }: Pick<WriteRequest, 'root' | 'path'>): string {
  return hash('sha256', `${jobName}\0${root}\0${path}`).slice(0, 16);
}

/** What identifies an attempt. */
export interface AttemptIdentity {
  /** The same for every attempt of one job, and different between jobs: letters and digits. */
  jobKey: string;
  /** Different for every attempt of a job: its number, as text of tokenOf(). */
  attemptToken: string;
  /** True if an earlier attempt of the job was begun: what it left may be taken over or removed. */
  again: boolean;
  /** The job's name in the queue, without blanks; NO_JOB for a write that is never retried. */
  job: string;
}

/** True if the write makes a temporary file. If not, it opens the file under its final name. */
export const hasPart = ({ publish, mode }: Pick<WriteRequest, 'publish' | 'mode'>): boolean =>
  publish === 'atomic' || mode === 'create';

/** The directory of a request's path ('' is the root) and the name in it. */
export function splitPath(path: string): { directory: string; name: string } {
  const slash = path.lastIndexOf('/');
  return { directory: slash === -1 ? '' : path.slice(0, slash), name: path.slice(slash + 1) };
}
