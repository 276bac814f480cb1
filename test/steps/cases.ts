/** The writes that are killed at each of their steps: what each asks for, what stands there, and what must stand there. */
import type { WriteRequestInput } from '@penstock/contract';
import { randomBytes } from '../support/expected-bytes.ts';
import type { Seeded } from '../soak/seeded.ts';

const OFFSET = 4099; // inside a block of any disk
const FILE_MODE = 0o640;
const asked = { fileMode: '0640' } as const;

const WAY_NAMES = [
  'create atomic',
  'create in place',
  'replace atomic',
  'replace in place',
  'overwrite within',
  'overwrite beyond',
  'append',
] as const;
type Way = (typeof WAY_NAMES)[number];
const WAYS: readonly Way[] = WAY_NAMES;

interface How {
  request: Partial<WriteRequestInput>;
  /** How long the file is that stands there; null where none does. */
  standingBytes: (size: number) => number | null;
  /** Where in such a file the first byte goes. */
  offset: (standingBytes: number) => number;
  /** What stands around the bytes stays. */
  keepsRest: boolean;
}
const whole = { offset: (): number => 0, keepsRest: false };
const standing = { standingBytes: (): number => 300_007 };
const HOW: Record<Way, How> = {
  'create atomic': { request: { mode: 'create', ...asked }, standingBytes: () => null, ...whole },
  'create in place': {
    request: { mode: 'create', publish: 'in-place', ...asked },
    standingBytes: () => null,
    ...whole,
  },
  'replace atomic': { request: { mode: 'replace', ...asked }, ...standing, ...whole },
  'replace in place': { request: { mode: 'replace', publish: 'in-place' }, ...standing, ...whole },
  'overwrite within': {
    request: { mode: 'overwrite', offset: OFFSET },
    standingBytes: (size) => OFFSET + size + 3001,
    offset: () => OFFSET,
    keepsRest: true,
  },
  'overwrite beyond': {
    request: { mode: 'overwrite', offset: OFFSET },
    standingBytes: (size) => OFFSET + Math.floor(size / 3),
    offset: () => OFFSET,
    keepsRest: true,
  },
  append: { request: { mode: 'append' }, standingBytes: () => 70_001, offset: (bytes) => bytes, keepsRest: true },
};

/** A file may have a hole in its midst, which is kept where it can be. Of a url the request says its size, or the server alone, or nobody. */
type Source = 'pattern' | 'file' | 'sparse-file' | 'url-sized' | 'url' | 'url-unsized';
const SOURCES: readonly Source[] = ['pattern', 'file', 'sparse-file', 'url-sized', 'url', 'url-unsized'];
type Check = 'none' | 'checksum' | 'readback';
const CHECKS: Record<Check, Partial<WriteRequestInput>> = {
  none: {},
  checksum: { checksum: 'sha256' },
  readback: { checksum: 'crc32c', verify: 'readback' },
};

/** Several checkpoints long, or none; a multiple of any disk's blocks, or not. */
const SIZES: readonly number[] = [1_572_864, 1_573_865, 10_007];
/** Of the attempts of these writes. */
export const CHECKPOINT_BYTES = 393_216;

export interface Case {
  way: Way;
  source: Source;
  check: Check;
  size: number;
  durability: Durability;
  /** Of the content; what stands there before has the next one's. */
  seed: number;
}

export const nameOf = ({ way, source, check, size, durability, seed }: Case): string =>
  `${way}, ${source}, ${check}, ${size} bytes, ${durability}, seed ${seed}`;

type Durability = NonNullable<WriteRequestInput['durability']>;
/** A killed process loses nothing by any of them. */
const DURABILITIES: readonly Durability[] = ['fdatasync', 'fdatasync', 'dsync', 'none'];

/** Every way with every source, check and size, in random order, and some durability. */
export function allCases(random: Seeded): Case[] {
  const cases: Case[] = [];
  for (const way of WAYS)
    for (const source of SOURCES)
      for (const check of Object.keys(CHECKS) as Check[])
        for (const size of SIZES) {
          const durability = random.pick(DURABILITIES);
          cases.push({ way, source, check, size, durability, seed: random.between(1, 1_000_000) });
        }
  return random.shuffled(cases);
}

/** What a file that is written so stands in for. */
export interface Files {
  /** null where nothing stands there. */
  before: Buffer | null;
  after: Buffer;
  mode: number;
}

/** Where the hole of a sparse file is; empty in any other, and in small ones. */
export function holeOf({ source, size }: Case): { start: number; end: number } {
  const block = 65_536; // holes are whole blocks of any file system
  const [start, end] = [Math.ceil(size / 3 / block) * block, Math.floor((size * 2) / 3 / block) * block];
  return source === 'sparse-file' && end > start ? { start, end } : { start: 0, end: 0 };
}

export function contentOf(of: Case): Buffer {
  const { start, end } = holeOf(of);
  return randomBytes(of.seed, of.size).fill(0, start, end);
}

export function filesOf(of: Case): Files {
  const { way, size, seed } = of;
  const { standingBytes, offset, keepsRest } = HOW[way];
  const bytes = standingBytes(size);
  const before = bytes === null ? null : randomBytes(seed + 1, bytes);
  const content = contentOf(of);
  if (before === null || !keepsRest) return { before, after: content, mode: FILE_MODE };
  const at = offset(before.length);
  const after = Buffer.concat([before.subarray(0, at), content, before.subarray(at + size)]);
  return { before, after, mode: FILE_MODE };
}

/** True where readers see the old file or the whole new one at any time. */
export const isAtomic = ({ way }: Case): boolean => way.endsWith('atomic');

/** What is asked for; `source` says where the bytes are, `path` where they go. */
export function requestOf(of: Case, path: string, source: WriteRequestInput['source']): WriteRequestInput {
  const isUnsized = of.source !== 'pattern' && of.source !== 'url-sized';
  // Small rows, few at a time: between the first and the last there are others to be met.
  const matrix = { rows: 3, rowBytes: 65_536 };
  return {
    path,
    source: source?.kind === 'file' && !HOW[of.way].keepsRest ? { ...source, holes: 'keep' } : source,
    matrix,
    durability: of.durability,
    ...HOW[of.way].request,
    ...CHECKS[of.check],
    ...(isUnsized ? {} : { size: of.size }),
  };
}
