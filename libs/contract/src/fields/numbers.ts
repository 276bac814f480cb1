/** The kinds of number that progress and results are made of. */
import { z } from 'zod';

/** Bytes, requests, entries: a whole number from 0 to 2^53-1. */
export const countSchema: z.ZodType<number, number> = z.int().min(0);

/** A speed or duration: any finite number from 0. */
export const rateSchema: z.ZodType<number, number> = z.number().min(0);
