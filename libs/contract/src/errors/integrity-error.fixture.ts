/** An IntegrityError for tests. */
import { IntegrityError } from './integrity-error.ts';

export function otherBytes(code: 'ECHECKSUM' | 'EINTEGRITY', retryable: boolean): IntegrityError {
  const where = { path: '/data/a\nb', offset: 524_288, length: 4096 };
  const sums = { algorithm: 'crc32c', expected: 'e3069283', found: '00000000' } as const;
  return new IntegrityError({ code, ...where, ...sums, retryable, hint: 'See `dmesg`.' });
}
