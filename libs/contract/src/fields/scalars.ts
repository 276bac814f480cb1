/** Kinds of value that several fields take: sizes, paths, names of roots. */
import { z } from 'zod';
import { ROOT_ACCEPTED } from './fields.ts';
import { PATH_CHARACTERS_MAX, PATH_PATTERN, pathFault, ROOT_NAME } from './paths.ts';
import { parseSize, SIZE_TEXT } from '../text/size.ts';

/** A size in bytes, min to max, as a number or a text. */
export function sizeSchema(min: number, max: number, description: string): z.ZodType<number, number | string> {
  return z
    .union([z.int().min(min).max(max), z.string().regex(SIZE_TEXT)])
    .transform((value, context) => {
      try {
        const bytes = parseSize(value);
        if (bytes >= min && bytes <= max) return bytes;
      } catch {
        // parseSize's words name the size alone; the issue below names the field and its own bounds
      }
      context.issues.push({ code: 'custom', input: value, message: 'it is not a whole number of bytes in the range' });
      return z.NEVER;
    })
    .meta({ description });
}

export function pathSchema(description: string): z.ZodType<string, string> {
  return z
    .string()
    .check((context) => {
      const fault = pathFault(context.value);
      if (fault !== null) context.issues.push({ code: 'custom', input: context.value, message: fault });
    })
    .meta({ description, minLength: 1, maxLength: PATH_CHARACTERS_MAX, pattern: PATH_PATTERN });
}

export const rootSchema: z.ZodType<string, string> = z
  .string()
  .regex(ROOT_NAME)
  .meta({ description: `The root: ${ROOT_ACCEPTED}` });
