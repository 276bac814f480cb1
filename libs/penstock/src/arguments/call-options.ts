/** The options of a call, in the forms in which programs leave them out. */
import { invalidType, invalidValue } from './node-errors.ts';

/** @throws TypeError with Node's code for what is no object */
export function callOptions<T extends object>(given: T | null | undefined): Partial<T> {
  if (given === undefined || given === null) return {};
  if (typeof given === 'object') return given;
  throw invalidType('options', 'of type object', given);
}

/** The same of a call to which fs lets an encoding stand for the options. */
export function textOptions<T extends { encoding?: BufferEncoding | undefined }>(
  given: T | BufferEncoding | null | undefined,
): Partial<T> {
  const options = typeof given === 'string' ? ({ encoding: given } as Partial<T>) : callOptions(given);
  const { encoding } = options;
  if (encoding && !Buffer.isEncoding(encoding)) throw invalidValue('encoding', encoding, 'is invalid encoding');
  return options;
}
