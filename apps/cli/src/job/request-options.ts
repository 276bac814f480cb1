/** The options that describe a write, and the request they come to. The contract judges the request, not this file. */
import { type Command, Option } from 'commander';
import {
  CHECKSUMS,
  type ChecksumName,
  DURABILITIES,
  type FileSource,
  HOLES,
  type JobRequestInput,
  MODES,
  MTIMES,
  PATTERN_NAMES,
  type PatternName,
  PUBLISHES,
  REFLINKS,
  type RequestError,
  type WriteRequest,
  type WriteRequestInput,
} from '@penstock/contract';
import { parseJob } from '@penstock/contract/judging';
import { parseHostName } from '@penstock/config';
import { UsageError } from '../terminal/failures.ts';

/** What the options of addRequestOptions hold; all of it may be absent. */
export interface RequestOptions {
  size?: string;
  root?: string;
  pattern?: PatternName;
  seed?: number;
  from?: string;
  fromRoot?: string;
  holes?: FileSource['holes'];
  reflink?: FileSource['reflink'];
  rows?: number;
  rowBytes?: string;
  mtime?: FileSource['mtime'];
  url?: string;
  segment?: string;
  offset?: string;
  mode?: WriteRequest['mode'];
  publish?: WriteRequest['publish'];
  durability?: WriteRequest['durability'];
  fileMode?: string;
  maxRate?: string;
  on?: string;
  checksum?: ChecksumName;
  expect?: string;
  verify?: boolean;
}

/** The bytes come from one source only. */
const OTHER_SOURCES = {
  url: ['from', 'pattern', 'seed', 'segment'],
  segment: ['from', 'pattern', 'seed', 'url'],
};

/** What stands for standard input after --from. */
export const STANDARD_INPUT = '-';

/** Digits become a number; anything else goes on as it is, so that the contract's message quotes what was typed. */
function numberOrText(text: string): number {
  return /^-?\d+$/.test(text) ? Number(text) : (text as unknown as number);
}

/** Adds what a request can say besides its path and its roots. */
export function addRequestOptions(command: Command): Command {
  return command
    .option('-s, --size <size>', "how many bytes: 1048576, 1MiB, 1.5GB (a copy takes its source's size)")
    .addOption(
      new Option('-p, --pattern <pattern>', 'what the bytes are (default: zero)')
        .choices(PATTERN_NAMES)
        .conflicts('from'),
    )
    .addOption(
      new Option('--seed <n>', 'distinguishes the bytes of one file from another (default: 0)')
        .argParser(numberOrText)
        .conflicts('from'),
    )
    .option('-f, --from <path>', 'copy this file, named inside its root; with `write`, - is standard input')
    .addOption(
      new Option('--holes <how>', 'of a copy: "keep" leaves holes of the source unwritten (default: fill)').choices(
        HOLES,
      ),
    )
    .addOption(
      new Option(
        '--reflink <when>',
        'of a copy: share the blocks of the source; "auto" where the disk can (default: never)',
      ).choices(REFLINKS),
    )
    .addOption(
      new Option('--mtime <which>', 'of a copy: "keep" gives it the time of its source (default: now)').choices(MTIMES),
    )
    .addOption(new Option('--url <url>', 'fetch the bytes from this http or https server').conflicts(OTHER_SOURCES.url))
    .addOption(
      new Option('--segment <name>', "write this segment of the host's shared memory").conflicts(OTHER_SOURCES.segment),
    )
    .option('--rows <n>', 'rows of the matrix (default: chosen by the writer)', numberOrText)
    .option('--row-bytes <size>', 'bytes of one row, like 64KiB')
    .addOption(
      new Option(
        '--mode <mode>',
        '"create" fails where the file exists; "overwrite" changes it from --offset on; "append" lengthens it (default: replace)',
      ).choices(MODES),
    )
    .option('--offset <size>', 'where the first byte goes, with --mode overwrite (default: 0)')
    .addOption(
      new Option(
        '--publish <how>',
        '"atomic" shows readers the old file or the new one (default: atomic, but in-place to overwrite and append)',
      ).choices(PUBLISHES),
    )
    .addOption(
      new Option(
        '--durability <how>',
        '"fdatasync": done means it survives power loss; "dsync": so does every byte shown as written (default: fdatasync)',
      ).choices(DURABILITIES),
    )
    .option(
      '--file-mode <bits>',
      'permissions, like 640, or "keep" for those of a copy\'s source (default: those of the file replaced, else by the umask)',
    )
    .option('--max-rate <rate>', 'bytes a second at most, like 100MiB; `penstock limit` changes it while it runs')
    .addOption(
      new Option('--checksum <algorithm>', 'tell the checksum of what was written').choices(
        CHECKSUMS.filter((name) => name !== 'none'),
      ),
    )
    .option('--expect <hex>', 'publish only if the checksum is this one (needs --checksum)')
    .option('--verify', 'read the file back from the disk and compare before it is published');
}

/** --on. Not --host: `penstock write` starts a host, and that one's options stand beside it. */
export const targetOption = (): Option =>
  new Option('--on <host>', 'the one host that is to write it (default: any host)').argParser(parseHostName);

/** The request that `path` and the options come to. @throws UsageError if options do not go together */
export function requestOf(path: string, options: RequestOptions): WriteRequestInput {
  const request: WriteRequestInput = { path };
  if (options.root !== undefined) request.root = options.root;
  if (options.size !== undefined) request.size = options.size;
  const matrix = matrixOf(options);
  if (matrix !== undefined) request.matrix = matrix;
  const source = sourceOf(options);
  if (source !== undefined) request.source = source;
  if (options.mode !== undefined) request.mode = options.mode;
  if (options.publish !== undefined) request.publish = options.publish;
  if (options.durability !== undefined) request.durability = options.durability;
  if (options.offset !== undefined) request.offset = options.offset;
  if (options.fileMode !== undefined) request.fileMode = options.fileMode;
  if (options.maxRate !== undefined) request.limit = { bytesPerSecond: options.maxRate };
  if (options.on !== undefined) request.target = { host: options.on };
  if (options.checksum !== undefined) request.checksum = options.checksum;
  if (options.expect !== undefined) {
    if (options.checksum === undefined) throw new UsageError('--expect is compared with a sum: give --checksum too');
    request.expect = options.expect;
  }
  if (options.verify === true) request.verify = 'readback';
  return request;
}

function matrixOf({ rows, rowBytes }: RequestOptions): WriteRequestInput['matrix'] {
  if (rows === undefined && rowBytes === undefined) return undefined;
  if (rows === undefined || rowBytes === undefined) {
    throw new UsageError('--rows and --row-bytes describe the matrix together: give both, or neither');
  }
  return { rows, rowBytes };
}

function sourceOf(options: RequestOptions): WriteRequestInput['source'] {
  const { from, fromRoot, holes, reflink, mtime, url, segment, pattern, seed } = options;
  if (from === STANDARD_INPUT) {
    throw new UsageError('standard input cannot wait in a queue: penstock write <path> --from - writes it at once');
  }
  if (from !== undefined) {
    return {
      kind: 'file',
      path: from,
      ...(fromRoot === undefined ? {} : { root: fromRoot }),
      ...(holes === undefined ? {} : { holes }),
      ...(reflink === undefined ? {} : { reflink }),
      ...(mtime === undefined ? {} : { mtime }),
    };
  }
  if (fromRoot !== undefined) throw new UsageError('--from-root names the root of --from: give that too');
  if (holes !== undefined) throw new UsageError('--holes tells what a copy does with them: give --from too');
  if (reflink !== undefined) throw new UsageError('--reflink tells how a copy is made: give --from too');
  if (mtime !== undefined) throw new UsageError('--mtime tells which time a copy gets: give --from too');
  if (url !== undefined) return { kind: 'url', url };
  if (segment !== undefined) return { kind: 'shm', name: segment };
  if (pattern === undefined && seed === undefined) return undefined;
  return {
    kind: 'pattern',
    ...(pattern === undefined ? {} : { pattern }),
    ...(seed === undefined ? {} : { seed }),
  };
}

/**
 * Judges a request before anything is started for it.
 * @throws RequestError, with advice if the path is one that only a shell would understand
 */
export function judgeRequest(request: JobRequestInput): void {
  try {
    parseJob(request);
  } catch (error) {
    const foreign = (error as RequestError).issues.find(
      ({ field, value }) => field.endsWith('path') && isForeignPath(value),
    );
    if (foreign === undefined) throw error;
    throw Object.assign(error as Error, { hint: foreign.field.includes('source') ? FOREIGN_SOURCE : FOREIGN_PATH });
  }
}

const FOREIGN_PATH =
  'paths are named inside a root; to reach any other directory, make it a root: penstock write name --root here="$PWD" …';
const FOREIGN_SOURCE =
  'sources are named inside a root; to reach any other directory, make it one: … --from name --from-root here="$PWD"';

const isForeignPath = (value: unknown): boolean => typeof value === 'string' && /^(\/|\.{1,2}(\/|$))/.test(value);
