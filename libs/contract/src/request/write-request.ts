/** The request as types: what a producer sends, and what a host carries out. */
import type { ChecksumName } from '../fields/fields.ts';
import type { WriteSource, WriteSourceInput } from './source.ts';

/** The buffer of a write: its rows are filled and written in turn. */
export interface MatrixShape {
  /** 1 to 65536. */
  rows: number;
  /** 1 to 2^30. Need not suit the disk: rows it cannot take directly are gathered. */
  rowBytes: number;
}

/**
 * A request as the host carries it out: every size in bytes, and what few requests say absent where it was not said,
 * for all of it travels with each job.
 */
export interface WriteRequest {
  /** Relative, inside its root. */
  path: string;
  /** The name of one of the host's roots. */
  root: string;
  /** Bytes, 0 to 2^53-1. Absent only for a source that knows its own size, or whose end decides it. */
  size?: number;
  /** Absent: chosen by the writer from the size and the disk. */
  matrix?: MatrixShape;
  source: WriteSource;
  /** Where the first byte goes; of 'overwrite' alone. Absent: 0. */
  offset?: number;
  /**
   * 'create' fails where the file exists. 'overwrite' changes `size` bytes of an existing file from `offset` on, and
   * lengthens it where they reach beyond its end; 'append' puts them behind its end, and makes it where it is missing.
   */
  mode: 'create' | 'replace' | 'overwrite' | 'append';
  /** 'atomic': readers see the old file or the new one, never a part. Overwriting and appending are always 'in-place'. */
  publish: 'atomic' | 'in-place';
  /** 'fdatasync': completed means it survives power loss. 'dsync': so does each byte that progress calls written. */
  durability: 'none' | 'fdatasync' | 'dsync';
  /** Of the bytes written; holes that are kept count as the zeros that they read as. Absent: 'none'. */
  checksum?: 'none' | ChecksumName;
  /**
   * What the checksum must be, in lower-case hexadecimal digits; anything else is not published. With 'in-place' the
   * bytes stand in the file by the time they are known to be wrong, and readers may have seen them: the job fails, an
   * append is cut off again, and what was overwritten is not restored.
   */
  expect?: string;
  /**
   * 'readback': the bytes are flushed, read from the disk and compared before they are published. Absent: 'none'. With
   * 'in-place' they stand in the file by then, as they do for `expect`.
   */
  verify?: 'none' | 'readback';
  /** Permission bits in octal digits, whatever the umask, or 'keep' for those of a copy's source. Absent: those of the file replaced, else the umask's. */
  fileMode?: string;
  /** Absent, or 0: no limit of the job's own. */
  limit?: { bytesPerSecond: number };
  /** Absent, or 'any': any host that takes from the queue. */
  target?: { host: string };
}

/** A request as a producer sends it: what has a default may be left out, sizes may be texts like "1MiB". */
export interface WriteRequestInput {
  path: string;
  /** Default 'data'. */
  root?: string | undefined;
  size?: number | string | undefined;
  matrix?: { rows: number; rowBytes: number | string } | undefined;
  /** Default: the pattern 'zero'. */
  source?: WriteSourceInput | undefined;
  /** Default 'replace'. */
  mode?: WriteRequest['mode'] | undefined;
  /** Default 'atomic', for 'overwrite' and 'append' 'in-place'. */
  publish?: WriteRequest['publish'] | undefined;
  /** Default 'fdatasync'. */
  durability?: WriteRequest['durability'] | undefined;
  /** Default 0. */
  offset?: number | string | undefined;
  /** Default 'none'. */
  checksum?: WriteRequest['checksum'] | undefined;
  expect?: string | undefined;
  /** Default 'none'. */
  verify?: WriteRequest['verify'] | undefined;
  fileMode?: string | undefined;
  /** Default: none. */
  limit?: { bytesPerSecond: number | string } | undefined;
  /** Default: any host. */
  target?: { host: string } | undefined;
}

/** One file of a bulk: a request that leaves to its bulk whatever all have in common. */
export type BulkItem = Pick<WriteRequest, 'path'> & Partial<Omit<WriteRequest, 'path' | 'limit' | 'target'>>;

/** Many files by one job. What stands beside `files` holds for every item that does not say otherwise. */
export interface BulkRequest extends Omit<WriteRequest, 'path' | 'publish'> {
  /** Absent: as each item's mode has it. */
  publish?: WriteRequest['publish'];
  /** 1 to 1,000, their extents counted too; none of them twice, none the source of another. */
  files: BulkItem[];
}

/** A bulk as a producer sends it. */
export interface BulkRequestInput extends Omit<WriteRequestInput, 'path'> {
  files: readonly Omit<WriteRequestInput, 'limit' | 'target'>[];
}

/** What a request says that does not say otherwise. */
export const REQUEST_DEFAULTS: Pick<WriteRequest, 'root' | 'source' | 'mode' | 'durability'> = {
  root: 'data',
  source: { kind: 'pattern', pattern: 'zero', seed: 0 },
  mode: 'replace',
  durability: 'fdatasync',
};

/** With the way it is published that goes without saying. */
export function withPublish<T extends Pick<WriteRequest, 'mode'> & { publish?: WriteRequest['publish'] }>(
  request: T,
): T & { publish: WriteRequest['publish'] } {
  return { ...request, publish: request.publish ?? usualPublish(request.mode) };
}

/** The way that a write of this mode is published if nothing else is said. */
export const usualPublish = (mode: WriteRequest['mode']): WriteRequest['publish'] =>
  changesInPlace({ mode }) ? 'in-place' : 'atomic';

/** True for a write that changes a file where it stands, and keeps the rest of it. */
export const changesInPlace = ({ mode }: Pick<WriteRequest, 'mode'>): boolean =>
  mode === 'overwrite' || mode === 'append';
