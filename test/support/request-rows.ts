/**
 * Every field, mode and source of a request, as the rows of one table: what is asked for, what stands there before, and
 * what the whole file has to be afterwards, computed from the definitions alone. Tests carry it out at the edge sizes.
 */
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import {
  type BulkResult,
  PATTERN_NAMES,
  type WireError,
  type WriteRequestInput,
  type WriteResult,
} from '@penstock/contract';
import { INLINE_BYTES_MAX } from '@penstock/contract';
import { checksumOf, patternBytes, randomBytes } from './expected-bytes.ts';
import type { ContentServer } from '../soak/served.ts';
import type { System } from './system.ts';

/** Around every boundary that matters: nothing, a byte, a sector, a block, a large write, a row. */
export const EDGE_SIZES: readonly number[] = [0, 1, 511, 4095, 4096, 4097, 65_537, 1_048_575, 1_048_577];

type Asked = Omit<WriteRequestInput, 'path' | 'limit' | 'target'>;

export interface RequestRow {
  name: string;
  /** What the request says besides its path and root. */
  request: (size: number, own: Own) => Asked;
  /** What the file has to be afterwards. */
  expected: (size: number) => Buffer;
  /** What stands at the target before; nothing where this is null or not said. */
  standing?: (size: number) => Buffer | null;
  /** What a checksum is of, where it is not of the whole file. */
  summed?: (size: number) => Buffer;
  /** For a row that is to be refused: the error's code. The file has to be what stood there. */
  refused?: string;
  /** Sizes for which the row makes sense; all unless said. */
  sizeMin?: number;
  sizeMax?: number;
  /** Not as an item of a bulk. */
  alone?: true;
  /** What else has to hold of the file: null, or what is wrong. */
  also?: (path: string, own: Own) => string | null;
}

/** Where a row finds itself: the root, and a file in it to copy from. */
interface Own {
  root: string;
  /** The path of the file to copy, inside the root. */
  sourcePath: string;
  server: ContentServer;
}

const SEED = 41;
/** Of what stands there before a write: other bytes than any that are written. */
const STANDING_SEED = 977;
const stamp = remembered((size) => patternBytes('stamp', SEED, size));
const stamped = { kind: 'pattern', pattern: 'stamp', seed: SEED } as const;
const standing = remembered((size) => randomBytes(STANDING_SEED, size));

/** Computes each size once: most rows compare with the same bytes. */
function remembered(compute: (size: number) => Buffer): (size: number) => Buffer {
  const known = new Map<number, Buffer>();
  return (size) => {
    const bytes = known.get(size) ?? compute(size);
    known.set(size, bytes);
    return bytes;
  };
}

/** `over` with `bytes` at `offset`; zeros in between where `over` ends before. */
function laidOver(over: Buffer, bytes: Buffer, offset: number): Buffer {
  // Nothing written lengthens nothing.
  const end = bytes.length === 0 ? over.length : Math.max(over.length, offset + bytes.length);
  const all = Buffer.alloc(end);
  over.copy(all);
  bytes.copy(all, offset);
  return all;
}

const patternRows: RequestRow[] = PATTERN_NAMES.map((pattern) => ({
  name: `the pattern ${pattern}`,
  request: (size) => ({ size, source: { kind: 'pattern', pattern, seed: SEED } }),
  expected: (size) => patternBytes(pattern, SEED, size),
}));

const matrixRows: RequestRow[] = [
  { rows: 1024, rowBytes: 1024 },
  { rows: 5, rowBytes: 1000 },
  { rows: 1, rowBytes: 4096 },
  { rows: 3, rowBytes: 7 },
  { rows: 2, rowBytes: '1MiB' },
].map((matrix) => ({
  name: `a matrix of ${matrix.rows} rows of ${matrix.rowBytes}`,
  request: (size) => ({ size, matrix, source: stamped }),
  expected: stamp,
}));

/** Where a write is published and how it is made durable, over a file that is longer, shorter, or not there. */
const publishRows: RequestRow[] = (['atomic', 'in-place'] as const).flatMap((publish) =>
  (['none', 'fdatasync', 'dsync'] as const).flatMap((durability) =>
    [null, -1000, 100_000].map((more): RequestRow => {
      const over = more === null ? '' : more < 0 ? ' over a shorter file' : ' over a longer file';
      return {
        name: `${publish}, ${durability}${over}`,
        request: (size) => ({ size, publish, durability, source: stamped }),
        expected: stamp,
        standing: (size) => (more === null ? null : standing(Math.max(1, size + more))),
      };
    }),
  ),
);

const createRows: RequestRow[] = (['atomic', 'in-place'] as const).flatMap((publish): RequestRow[] => [
  {
    name: `create ${publish}`,
    request: (size) => ({ size, publish, mode: 'create', source: stamped }),
    expected: stamp,
  },
  {
    name: `create ${publish} where a file exists`,
    request: (size) => ({ size, publish, mode: 'create', source: stamped }),
    standing: () => standing(5000),
    expected: () => standing(5000),
    refused: 'EEXIST',
  },
]);

/** Files to be changed in place: of ragged and of whole blocks. */
const STANDING_BYTES = [1, 4096, 70_001];

const overwriteRows: RequestRow[] = [
  ...STANDING_BYTES.flatMap((bytes) =>
    [0, 1, 511, 512, 4095, 4096, 4097, 69_999].map((offset): RequestRow => {
      const at = offset > bytes ? 'beyond the end' : `at ${offset}`;
      return {
        name: `overwrite ${at} (${offset}) of ${bytes} bytes`,
        request: (size) => ({ size, mode: 'overwrite', offset, source: stamped }),
        standing: () => standing(bytes),
        expected: (size) => laidOver(standing(bytes), stamp(size), offset),
      };
    }),
  ),
  {
    name: 'overwrite deep inside a larger file, dsync',
    request: (size) => ({ size, mode: 'overwrite', offset: 100_003, durability: 'dsync', source: stamped }),
    standing: () => standing(1_500_007),
    expected: (size) => laidOver(standing(1_500_007), stamp(size), 100_003),
  },
  {
    name: 'overwrite from a file',
    request: (_, { root, sourcePath }) => ({
      mode: 'overwrite',
      offset: 4099,
      source: { kind: 'file', root, path: sourcePath },
    }),
    standing: () => standing(1_200_001),
    expected: (size) => laidOver(standing(1_200_001), copied(size), 4099),
  },
  {
    name: 'overwrite where no file is',
    request: (size) => ({ size, mode: 'overwrite', source: stamped }),
    expected: () => Buffer.alloc(0),
    refused: 'ENOENT',
  },
];

const appendRows: RequestRow[] = [
  {
    name: 'append where no file is',
    request: (size) => ({ size, mode: 'append', source: stamped }),
    expected: stamp,
  },
  ...[0, 1, 511, 4096, 4097, 70_001].map((bytes): RequestRow => ({
    name: `append to ${bytes} bytes`,
    request: (size) => ({ size, mode: 'append', source: stamped }),
    standing: () => standing(bytes),
    expected: (size) => Buffer.concat([standing(bytes), stamp(size)]),
  })),
  {
    name: 'append from a file, no durability',
    request: (_, { root, sourcePath }) => ({
      mode: 'append',
      durability: 'none',
      source: { kind: 'file', root, path: sourcePath },
    }),
    standing: () => standing(12_345),
    expected: (size) => Buffer.concat([standing(12_345), copied(size)]),
  },
];

const COPIED_SEED = 5;
const copied = remembered((size) => randomBytes(COPIED_SEED, size));
const SEGMENT_SEED = 6;
const segment = remembered((size) => randomBytes(SEGMENT_SEED, size));
const copyOf = ({ root, sourcePath }: Own): Asked => ({ source: { kind: 'file', root, path: sourcePath } });
const COPY_MODE = 0o604;
const COPY_TIME = 1_234_567_890;

const copyRows: RequestRow[] = [
  {
    name: 'a copy',
    request: (_, { root, sourcePath }) => ({ source: { kind: 'file', root, path: sourcePath } }),
    expected: copied,
  },
  {
    name: 'a copy in place over a file',
    request: (_, { root, sourcePath }) => ({ publish: 'in-place', source: { kind: 'file', root, path: sourcePath } }),
    standing: () => standing(30_000),
    expected: copied,
  },
  {
    name: 'a copy of the first part of a file',
    request: (size, { root, sourcePath }) => ({
      size: Math.floor(size / 2),
      source: { kind: 'file', root, path: sourcePath },
    }),
    expected: (size) => copied(Math.floor(size / 2)),
  },
  {
    name: 'a copy by reflink, where there is any',
    request: (_, { root, sourcePath }) => ({ source: { kind: 'file', root, path: sourcePath, reflink: 'auto' } }),
    expected: copied,
  },
  {
    name: 'a copy that keeps holes',
    request: (_, { root, sourcePath }) => ({ source: { kind: 'file', root, path: sourcePath, holes: 'keep' } }),
    expected: copied,
  },
  {
    name: 'a copy with the permissions and the time of its source',
    request: (_, { root, sourcePath }) => ({
      fileMode: 'keep',
      source: { kind: 'file', root, path: sourcePath, mtime: 'keep' },
    }),
    expected: copied,
    also: (path) => {
      const { mode, mtime } = statSync(path);
      const found = { mode: mode & 0o777, time: mtime.getTime() / 1000 };
      const wanted = { mode: COPY_MODE, time: COPY_TIME };
      return isDeepStrictEqual(found, wanted) ? null : `${JSON.stringify(found)} instead of ${JSON.stringify(wanted)}`;
    },
  },
];

const fileModeRows: RequestRow[] = (['640', '0777', '000'] as const).flatMap((fileMode) =>
  (['atomic', 'in-place'] as const).map((publish): RequestRow => ({
    name: `the permissions ${fileMode}, ${publish}`,
    request: (size) => ({ size, fileMode, publish, source: stamped }),
    expected: stamp,
    also: (path) => {
      const found = (statSync(path).mode & 0o7777).toString(8);
      return found === parseInt(fileMode, 8).toString(8) ? null : `permissions ${found}`;
    },
  })),
);

/** Every way to a sum, each with the other promises about a file's bytes; the sum itself is compared by the test. */
const checksumRows: RequestRow[] = (['crc32c', 'sha256'] as const).flatMap((checksum): RequestRow[] => [
  {
    name: `the checksum ${checksum}`,
    request: (size) => ({ size, checksum, source: stamped }),
    expected: stamp,
  },
  {
    name: `${checksum} as expected, read back`,
    request: (size) => ({
      size,
      checksum,
      verify: 'readback',
      source: stamped,
      expect: checksumOf(checksum, stamp(size)),
    }),
    expected: stamp,
  },
  {
    name: `${checksum} other than expected`,
    request: (size) => ({ size, checksum, expect: checksumOf(checksum, standing(77)), source: stamped }),
    standing: () => standing(5000),
    expected: () => standing(5000),
    refused: 'ECHECKSUM',
  },
  {
    name: `${checksum} of a copy in place, read back`,
    request: (_, { root, sourcePath }) => ({
      checksum,
      verify: 'readback',
      publish: 'in-place',
      durability: 'none',
      source: { kind: 'file', root, path: sourcePath, reflink: 'auto' },
    }),
    standing: () => standing(30_000),
    expected: copied,
  },
  {
    name: `${checksum} of an append, read back`,
    request: (size) => ({ size, mode: 'append', checksum, verify: 'readback', source: stamped }),
    standing: () => standing(12_345),
    expected: (size) => Buffer.concat([standing(12_345), stamp(size)]),
    summed: stamp,
  },
]);

const summedOf = ({ row, size }: Cell): Buffer => (row.summed ?? row.expected)(size);

/** What is wrong with the checksum that the result of a cell tells; null if nothing is. */
function checksumFault(cell: Cell, result: { checksum?: WriteResult['checksum'] | undefined }): string | null {
  const { checksum } = cell.request;
  if (checksum === undefined || checksum === 'none') return result.checksum === undefined ? null : 'a checksum is told';
  const right = checksumOf(checksum, summedOf(cell));
  return result.checksum?.value === right ? null : `the checksum ${result.checksum?.value}, not ${right}`;
}

/** Extents that are out of order, with a hole before, between and behind. */
const extentRow: RequestRow = {
  name: 'extents in any order, with gaps',
  sizeMin: 511,
  request: (size) => {
    const part = Math.floor(size / 6);
    return {
      size,
      source: {
        kind: 'extents',
        extents: [
          { offset: 4 * part, size: part, source: { kind: 'pattern', pattern: 'text', seed: 2 } },
          { offset: 2 * part, size: part, source: { kind: 'pattern', pattern: 'stamp', seed: 1 } },
          { offset: 1, size: part - 1, source: { kind: 'pattern', pattern: 'random', seed: 3 } },
        ],
      },
    };
  },
  expected: (size) => {
    const part = Math.floor(size / 6);
    let all: Buffer = Buffer.alloc(size);
    all = laidOver(all, patternBytes('text', 2, part), 4 * part);
    all = laidOver(all, patternBytes('stamp', 1, part), 2 * part);
    return laidOver(all, patternBytes('random', 3, part - 1), 1);
  },
};

/** Ways of writing that sums and readbacks have to suit. */
const SUMMED: { name: string; asked: Asked; source: 'pattern' | 'file' | 'extents'; standing?: number }[] = [
  { name: 'of a new file', asked: {}, source: 'pattern' },
  { name: 'of a file in place', asked: { publish: 'in-place' }, source: 'pattern', standing: 90_000 },
  { name: 'of a copy', asked: {}, source: 'file' },
  { name: 'of extents', asked: {}, source: 'extents' },
  {
    name: 'of a range that is overwritten',
    asked: { mode: 'overwrite', offset: 4099 },
    source: 'pattern',
    standing: 70_001,
  },
  {
    name: 'of a range that is overwritten from a file',
    asked: { mode: 'overwrite', offset: 512 },
    source: 'file',
    standing: 9000,
  },
  { name: 'of what is appended', asked: { mode: 'append' }, source: 'pattern', standing: 70_001 },
  {
    name: 'with small rows, dsync',
    asked: { durability: 'dsync', matrix: { rows: 3, rowBytes: 4096 } },
    source: 'pattern',
  },
];

const digestRows: RequestRow[] = SUMMED.flatMap(({ name, asked, source, standing: before }) =>
  (['crc32c', 'sha256', 'readback'] as const).map((kind): RequestRow => {
    const written = source === 'pattern' ? stamp : source === 'file' ? copied : extentRow.expected;
    const offset = asked.mode === 'append' ? before! : Number(asked.offset ?? 0);
    const keeps = asked.mode === 'append' || asked.mode === 'overwrite';
    return {
      name: `${kind} ${name}`,
      summed: written,
      sizeMin: source === 'extents' ? extentRow.sizeMin! : 0,
      request: (size, own) => {
        const from: Asked =
          source === 'file'
            ? copyOf(own)
            : source === 'extents'
              ? extentRow.request(size, own)
              : { size, source: stamped };
        const expect = kind === 'readback' ? {} : { checksum: kind, expect: checksumOf(kind, written(size)) };
        return { ...from, ...asked, ...(kind === 'readback' ? { verify: kind } : expect) };
      },
      standing: () => (before === undefined ? null : standing(before)),
      expected: (size) => (keeps ? laidOver(standing(before!), written(size), offset) : written(size)),
    };
  }),
);

/** Bytes that are not those that were expected: an append is cut off again. */
const mismatchRow: RequestRow = {
  name: 'append with another checksum than was expected',
  request: (size) => ({
    size,
    mode: 'append',
    source: stamped,
    checksum: 'sha256',
    expect: checksumOf('sha256', standing(size + 1)),
  }),
  standing: () => standing(70_001),
  expected: () => standing(70_001),
  refused: 'ECHECKSUM',
};

/** Segments of shared memory, from places that direct I/O takes as they are and from others. */
const segmentRows: RequestRow[] = [0, 1, 512, 4096, 5000].flatMap((offset) => [
  {
    name: `a segment of shared memory from ${offset} on`,
    request: (size: number) => ({ source: { kind: 'shm', name: String(size), offset } as const }),
    sizeMin: offset,
    expected: (size: number) => segment(size).subarray(offset),
  },
  {
    name: `a range inside a segment of shared memory from ${offset} on, appended and read back`,
    request: (size: number) => ({
      mode: 'append' as const,
      verify: 'readback' as const,
      size: Math.max(0, Math.floor(size / 2) - offset),
      source: { kind: 'shm', name: String(size), offset } as const,
    }),
    sizeMin: offset,
    standing: () => standing(777),
    expected: (size: number) =>
      Buffer.concat([standing(777), segment(size).subarray(offset, Math.max(offset, Math.floor(size / 2)))]),
  },
]);

const inline = (size: number): Asked => ({ source: { kind: 'inline', data: stamp(size).toString('base64') } });

/** Bytes that the request carries. */
const inlineRows: RequestRow[] = [
  { name: 'inline', request: inline, expected: stamp },
  {
    name: 'inline, appended',
    request: (size: number) => ({ ...inline(size), mode: 'append' as const }),
    standing: () => standing(70_001),
    expected: (size: number) => Buffer.concat([standing(70_001), stamp(size)]),
  },
].map((row) => Object.assign(row, { sizeMax: INLINE_BYTES_MAX, alone: true as const }));

const URL_SEED = 8;
const fetched = remembered((size) => randomBytes(URL_SEED, size));
const fetchedFrom = (size: number, { server }: Own): Asked => ({
  source: { kind: 'url', url: server.url(URL_SEED, size) },
});

/** Bytes that a server answers with. */
const urlRows: RequestRow[] = [
  { name: 'a url', request: fetchedFrom, expected: fetched },
  {
    name: 'a url of known size, in place, with its checksum and read back',
    request: (size, own) => ({
      ...fetchedFrom(size, own),
      size,
      publish: 'in-place',
      checksum: 'sha256',
      expect: checksumOf('sha256', fetched(size)),
      verify: 'readback',
    }),
    standing: () => standing(100_000),
    expected: fetched,
  },
  {
    name: 'a url over a range of a file',
    request: (size, own) => ({ ...fetchedFrom(size, own), mode: 'overwrite', offset: 4099 }),
    standing: () => standing(70_001),
    expected: (size) => laidOver(standing(70_001), fetched(size), 4099),
  },
  {
    name: 'a url, appended',
    request: (size, own) => ({ ...fetchedFrom(size, own), mode: 'append' }),
    standing: () => standing(70_001),
    expected: (size) => Buffer.concat([standing(70_001), fetched(size)]),
  },
];
for (const row of urlRows) row.alone = true; // each is fetched by a job of its own

export const REQUEST_ROWS: readonly RequestRow[] = [
  ...patternRows,
  ...matrixRows,
  ...publishRows,
  ...createRows,
  ...overwriteRows,
  ...appendRows,
  ...copyRows,
  ...fileModeRows,
  ...checksumRows,
  extentRow,
  ...digestRows,
  mismatchRow,
  ...segmentRows,
  ...inlineRows,
  ...urlRows,
];

interface Cell {
  row: RequestRow;
  size: number;
  request: WriteRequestInput;
  /** Of the target, on this machine. */
  path: string;
  own: Own;
}

/** Where the table is carried out. */
export interface RootPlace {
  /** The root's name, and its directory on this machine. */
  root: string;
  directory: string;
  /** The host's shared-memory root. */
  shmDirectory: string;
  /** Which the host is allowed to fetch from. */
  server: ContentServer;
  /** All edge sizes, unless some are given. */
  sizes?: readonly number[];
  /** Told of each job that was written. */
  seen?: (result: WriteResult) => void;
}

/** Makes what each row wants to find, in a folder of its own. */
function prepareCells(place: RootPlace, folder: string, rows: readonly RequestRow[]): Cell[] {
  const { root, directory, server, sizes = EDGE_SIZES } = place;
  return rows.flatMap((row, index) =>
    sizes
      .filter((size) => size >= (row.sizeMin ?? 0) && size <= (row.sizeMax ?? size))
      .map((size): Cell => {
        const name = `${folder}/${index}/${size}`;
        const own = { root, sourcePath: `sources/${size}`, server };
        const path = join(directory, name);
        mkdirSync(dirname(path), { recursive: true });
        const before = row.standing?.(size) ?? null;
        if (before !== null) writeFileSync(path, before);
        return { row, size, request: { path: name, root, ...row.request(size, own) }, path, own };
      }),
  );
}

function writeSources({ directory, shmDirectory }: RootPlace): void {
  mkdirSync(join(directory, 'sources'), { recursive: true });
  for (const size of EDGE_SIZES) {
    writeFileSync(join(shmDirectory, String(size)), segment(size));
    const path = join(directory, 'sources', String(size));
    writeFileSync(path, copied(size));
    chmodSync(path, COPY_MODE);
    utimesSync(path, COPY_TIME, COPY_TIME);
  }
}

/** What is wrong with a cell that has ended with `error`, or without any; null if nothing is. */
function faultOf({ row, size, path, own }: Cell, error: Partial<WireError> | string | null): string | null {
  if (row.refused !== undefined) {
    const text = typeof error === 'string' ? error : error?.code;
    if (!text?.includes(row.refused)) return `it is refused with ${JSON.stringify(error)}, not ${row.refused}`;
    if (row.standing === undefined) return existsSync(path) ? 'a file was made' : null;
  } else if (error !== null) return `it fails: ${typeof error === 'string' ? error : error.message}`;
  const fault = row.also?.(path, own);
  if (fault) return fault;
  // Only root could read a file without any permissions, which is what some rows ask for.
  chmodSync(path, 0o600);
  const [found, expected] = [readFileSync(path), row.expected(size)];
  if (found.length !== expected.length) return `it has ${found.length} bytes, not ${expected.length}`;
  const at = found.equals(expected) ? -1 : found.findIndex((byte, index) => byte !== expected[index]);
  return at === -1 ? null : `its bytes are others from ${at} on`;
}

const told = ({ row, size }: Cell, fault: string | null): string[] =>
  fault === null ? [] : [`${row.name}, ${size}: ${fault}`];

/** Carries out every row at every size, a job each, all of them at once; returns what is wrong, a line each. */
export async function faultsOfJobs(system: System, place: RootPlace): Promise<string[]> {
  writeSources(place);
  const cells = prepareCells(place, 'jobs', REQUEST_ROWS);
  // Of completed jobs a queue keeps the last thousand.
  const opts = { removeOnComplete: false, removeOnFail: false };
  const jobs = await system.queue.addBulk(cells.map(({ request }) => ({ name: 'write', data: request, opts })));
  const faults: string[] = [];
  for (const [index, job] of jobs.entries()) {
    const end = await system.finished(job);
    const cell = cells[index]!;
    faults.push(...told(cell, faultOf(cell, end.failedReason ?? null)));
    if (end.failedReason === undefined) faults.push(...told(cell, checksumFault(cell, end.returnvalue as object)));
    if (end.failedReason === undefined) place.seen?.(end.returnvalue as WriteResult);
    const { offset, fileBytes } = (end.returnvalue ?? {}) as Partial<WriteResult>;
    // What the result tells of a file that was changed in part.
    if (fileBytes !== undefined && fileBytes !== statSync(cell.path).size)
      faults.push(...told(cell, `fileBytes ${fileBytes}`));
    if (offset !== undefined && cell.request.offset !== undefined && offset !== cell.request.offset) {
      faults.push(...told(cell, `offset ${offset}`));
    }
  }
  return faults;
}

/** The same as items of one bulk after another. */
export async function faultsOfBulks(system: System, place: RootPlace): Promise<string[]> {
  writeSources(place);
  const cells = prepareCells(
    place,
    'bulk',
    REQUEST_ROWS.filter(({ alone }) => alone !== true),
  );
  const faults: string[] = [];
  const itemsMax = 300;
  for (let from = 0; from < cells.length; from += itemsMax) {
    const some = cells.slice(from, from + itemsMax);
    const end = await system.finished(await system.add({ files: some.map(({ request }) => request) }));
    if (end.failedReason !== undefined) return [end.failedReason];
    for (const [index, item] of (end.returnvalue as BulkResult).items.entries()) {
      const cell = some[index]!;
      faults.push(...told(cell, faultOf(cell, 'error' in item ? item.error : null)));
      if (!('error' in item)) faults.push(...told(cell, checksumFault(cell, item)));
    }
  }
  return faults;
}

/** Names below `directory` that no request asked for: partial files. */
export const strayNames = (names: readonly string[]): string[] => names.filter((name) => name.includes('.penstock'));
