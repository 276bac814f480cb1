/** For tests: what progress and results are, as schemas. */
import { z } from 'zod';
import { wireErrorSchema } from '../errors/wire-error.fixture.ts';
import { PHASES, type WriteProgress } from './progress.ts';
import type { WriteResult } from './result.ts';
import { completeResult, type ShortWriteResult } from './short-result.ts';

/** Bytes, requests, entries: a whole number from 0 to 2^53-1. */
const countSchema: z.ZodType<number, number> = z.int().min(0);

/** A speed or duration: any finite number from 0. */
const rateSchema: z.ZodType<number, number> = z.number().min(0);

export const progressSchema: z.ZodType<WriteProgress> = z.object({
  progress: z.number().min(0).max(100),
  bytesWritten: countSchema,
  bytesDurable: countSchema,
  totalBytes: countSchema,
  bytesPerSecond: rateSchema,
  etaMs: rateSchema.nullable(),
  inFlight: countSchema,
  phase: z.enum(PHASES),
  limit: countSchema.exactOptional(),
  note: z.string().exactOptional(),
  host: z.string().exactOptional(),
  error: wireErrorSchema.exactOptional(),
});

export const progressJsonSchema: object = z.toJSONSchema(progressSchema, { target: 'draft-7' });

/** 0 if it is left out. */
const zeroOr = countSchema.exactOptional();
const phaseSchema = rateSchema.exactOptional();
/** The maximum if it is left out. */
const percentileSchema = rateSchema.exactOptional();

const latencySchema = z.object({
  count: countSchema,
  p50: percentileSchema,
  p90: percentileSchema,
  p99: percentileSchema,
  max: rateSchema,
});

const checksumSchema = z.object({
  algorithm: z.enum(['crc32c', 'sha256']),
  value: z.string(),
});

const shortSchema: z.ZodType<ShortWriteResult, ShortWriteResult> = z.object({
  path: z.string(),
  root: z.string(),
  bytes: countSchema,
  offset: countSchema.exactOptional(),
  fileBytes: countSchema.exactOptional(),
  checksum: checksumSchema.exactOptional(),
  verified: z.literal('readback').exactOptional(),
  noDirectReadbackReason: z.string().exactOptional(),
  resumedFrom: countSchema.exactOptional(),
  notKept: z.array(z.string()).exactOptional(),
  mode: z.enum(['aio-direct', 'aio-buffered', 'sync-direct', 'sync-buffered']),
  engine: z.enum(['libaio', 'syscalls', 'positional']),
  fallbackReason: z.string().exactOptional(),
  durable: z.literal(false).exactOptional(),
  copied: z.enum(['rows', 'reflink']).exactOptional(),
  noReflinkReason: z.string().exactOptional(),
  holeBytes: countSchema.exactOptional(),
  extentEnds: z.array(countSchema).exactOptional(),
  alignment: z.object({ memory: countSchema, offset: countSchema }).exactOptional(),
  matrix: z.object({ rows: countSchema, rowBytes: countSchema, ioBytes: countSchema.exactOptional() }),
  durationsMs: z.object({
    waiting: phaseSchema,
    opening: phaseSchema,
    writing: phaseSchema,
    syncing: phaseSchema,
    verifying: phaseSchema,
    publishing: phaseSchema,
    paused: phaseSchema,
    total: rateSchema,
  }),
  bytesPerSecond: rateSchema,
  writeLatencyUs: latencySchema.exactOptional(),
  writes: countSchema,
  reads: zeroOr,
  shortWrites: zeroOr,
  retries: zeroOr,
  submitCalls: zeroOr,
  hugePages: z.boolean(),
  host: z.string().exactOptional(),
  thread: countSchema,
});

/** Takes a result as it is stored, and completes it. */
export const resultSchema: z.ZodType<WriteResult, ShortWriteResult> = shortSchema.transform((short) =>
  completeResult(short),
);

export const resultJsonSchema: object = z.toJSONSchema(shortSchema, { target: 'draft-7' });
