/** For tests: an error as plain data, as a schema. */
import { z } from 'zod';
import type { WireError } from './wire-error.ts';

export const wireErrorSchema: z.ZodType<WireError> = z.object({
  name: z.string(),
  message: z.string(),
  code: z.string(),
  syscall: z.string().exactOptional(),
  errno: z.int().exactOptional(),
  path: z.string().exactOptional(),
  offset: z.number().exactOptional(),
  length: z.number().exactOptional(),
  hint: z.string().exactOptional(),
  field: z.string().exactOptional(),
  expected: z.string().exactOptional(),
  found: z.string().exactOptional(),
  by: z.string().exactOptional(),
  why: z.string().exactOptional(),
  retryable: z.boolean(),
});
