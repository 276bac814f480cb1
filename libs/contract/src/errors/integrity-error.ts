/** The error of bytes that are not what they were to be, at their source or on the disk. */
import type { ChecksumName } from '../fields/fields.ts';
import { escapeControls } from '../text/print.ts';
import { textOfCode } from './errno.ts';
import { nameErrors } from './name-errors.ts';
import { toWire } from './to-wire.ts';
import type { WireError } from './wire-error.ts';

export interface IntegrityErrorDetails {
  /** 'ECHECKSUM': the source's bytes are not those that were expected. 'EINTEGRITY': the disk's are not. */
  code: 'ECHECKSUM' | 'EINTEGRITY';
  path: string;
  /** The range that the sums are of: bytes from the start of the file. */
  offset: number;
  length: number;
  algorithm: ChecksumName;
  /** In hexadecimal digits. */
  expected: string;
  found: string;
  retryable: boolean;
  hint: string;
}

/** Bytes that are not what they were to be: which range of which file, both sums, and what to do about it. */
export class IntegrityError extends Error {
  static {
    nameErrors(this, 'IntegrityError');
  }

  readonly code: IntegrityErrorDetails['code'];
  readonly path: string;
  readonly offset: number;
  readonly length: number;
  readonly expected: string;
  readonly found: string;
  readonly retryable: boolean;
  readonly hint: string;

  constructor(details: IntegrityErrorDetails) {
    const { code, path, offset, length, algorithm, expected, found, hint } = details;
    const [wanted, came] = code === 'ECHECKSUM' ? ['was expected', 'came'] : ['was written', 'was read back'];
    super(
      `${code}: ${textOfCode(code)}, '${escapeControls(path)}' at ${offset}, ${length} bytes: ` +
        `${algorithm} ${expected} ${wanted}, ${found} ${came}. ${hint}`,
    );
    this.code = code;
    this.path = path;
    this.offset = offset;
    this.length = length;
    this.expected = expected;
    this.found = found;
    this.retryable = details.retryable;
    this.hint = hint;
  }

  toJSON(): WireError {
    return toWire(this);
  }
}
