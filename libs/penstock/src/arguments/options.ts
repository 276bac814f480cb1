/** What a call can say of a write besides its path and its bytes, and the request that it comes to. */
import {
  type FileSource,
  RequestError,
  type WriteProgress,
  type WriteRequest,
  type WriteRequestInput,
  type WriteResult,
} from '@penstock/contract';
import { parseRequest } from '@penstock/contract/judging';
import { existingFile, inRoot, type PathLike, ROOT } from './paths.ts';

/** How a call is watched and stopped. */
export interface CallOptions {
  /**
   * Stops the write when it is aborted. The call then rejects with AbortError, once nothing is in flight any more and
   * the partial file is gone; a write that was past stopping resolves as if nothing had been asked.
   */
  signal?: AbortSignal | undefined;
  /** Called twice a second while the write runs, and once when it is done. */
  onProgress?: ((progress: WriteProgress) => void) | undefined;
}

/** When bytes that arrive go into a file that is changed where it stands. */
export interface FlushOptions {
  /**
   * Bytes that fill no row are in the file, for readers and for what comes after a crash, so many milliseconds later; then
   * the file is as long as they are. From 1 on; Infinity: with the next full row, a flush or the end. Default 50.
   */
  flushAfterMs?: number | undefined;
}

/** The options of any write: the fields of a request, by the same names and with the same defaults. */
export interface FileOptions extends CallOptions {
  /**
   * `'replace'` (the default) makes the file or replaces one that is there, `'create'` fails if a file is there,
   * `'overwrite'` changes it from `offset` on, `'append'` lengthens it.
   */
  mode?: WriteRequest['mode'] | undefined;
  /** Where the first byte goes, with mode `'overwrite'`: bytes, or a text like `'1MiB'`. Default 0. */
  offset?: number | string | undefined;
  /** `'atomic'`: readers see the old file or the new one, never a part. Default, but for `'overwrite'` and `'append'`. */
  publish?: WriteRequest['publish'] | undefined;
  /** `'fdatasync'` (the default): what resolved survives power loss. `'dsync'`: so does each byte as it is written. */
  durability?: WriteRequest['durability'] | undefined;
  /** Given in the result: `'crc32c'` or `'sha256'` of the bytes written. Default `'none'`. */
  checksum?: WriteRequest['checksum'] | undefined;
  /** What the checksum must be, in hexadecimal digits; anything else is not published. */
  expect?: string | undefined;
  /** `'readback'`: the bytes are read from the disk and compared before they are published. Default `'none'`. */
  verify?: WriteRequest['verify'] | undefined;
  /**
   * Permission bits, as a number like `0o640` or in octal digits, whatever the umask; of a copy also `'keep'`, those of its
   * source. Default: the permissions and the ACL of the file that stands there, else 0o666 less the umask.
   */
  fileMode?: number | string | undefined;
  /** Bytes a second at most. Default: none. */
  limit?: WriteRequestInput['limit'];
  /** The buffer: rows in flight and the bytes of one. Default: chosen from the size and the disk. */
  matrix?: WriteRequestInput['matrix'];
  /** Makes the directories that are missing on the way, as durably as the file. Default: false, as with `node:fs`. */
  makeDirectories?: boolean | undefined;
}

/** The options of a copy. */
export interface CopyOptions extends FileOptions {
  /** Bytes from the start of the source. Default: all of it. */
  size?: number | string | undefined;
  /** `'keep'`: holes of the source stay holes. `'fill'` (the default): zeros are written there. */
  holes?: FileSource['holes'] | undefined;
  /** Share the source's blocks: `'auto'` if the file system can, `'always'` fails if it cannot. Default `'never'`. */
  reflink?: FileSource['reflink'] | undefined;
  /** `'keep'`: the file gets the source's time of modification. Default `'now'`. */
  mtime?: 'now' | 'keep' | undefined;
}

/** What a write came to. `path` is the absolute path of the file, free of links. */
export type FileResult = Omit<WriteResult, 'root' | 'host'>;

/** The source of a request, whose `path`, if it names one, is a path of the program. */
export type SourceInput = NonNullable<WriteRequestInput['source']>;

/** The request for the file at `absolute`. @throws RequestError */
export function requestFor(
  absolute: string,
  source: SourceInput,
  size: number | string | undefined,
  options: FileOptions,
): WriteRequest {
  const { mode, offset, publish, durability, checksum, expect, verify, fileMode, limit, matrix } = options;
  return parseRequest({
    path: inRoot(absolute),
    root: ROOT.name,
    source,
    size,
    mode,
    offset,
    publish,
    durability,
    checksum,
    expect,
    verify,
    fileMode: typeof fileMode === 'number' ? octal(fileMode) : fileMode,
    limit,
    matrix,
  } satisfies WriteRequestInput);
}

/** The source of a copy of `from`. */
export async function copySource(from: PathLike, options: CopyOptions): Promise<SourceInput> {
  const { holes, reflink, mtime } = options;
  return { kind: 'file', path: inRoot(await existingFile(from)), root: ROOT.name, holes, reflink, mtime };
}

function octal(bits: number): string {
  if (Number.isInteger(bits) && bits >= 0 && bits <= 0o777) return bits.toString(8).padStart(3, '0');
  throw new RequestError({ field: 'fileMode', value: bits, accepted: 'permission bits from 0 to 0o777' });
}

/** An hour. */
const FLUSH_AFTER_MS_MAX = 3_600_000;

/** `flushAfterMs` as the ring takes it: -1 for never. @throws RequestError */
export function flushTime(ms: number | undefined): number | undefined {
  if (ms === undefined) return undefined;
  if (ms === Number.POSITIVE_INFINITY) return -1;
  if (Number.isInteger(ms) && ms >= 1 && ms <= FLUSH_AFTER_MS_MAX) return ms;
  const accepted = `milliseconds from 1 to ${FLUSH_AFTER_MS_MAX}, or Infinity`;
  throw new RequestError({ field: 'flushAfterMs', value: ms, accepted });
}
