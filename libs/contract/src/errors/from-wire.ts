/** From plain data back to an error, for whoever catches errors by their class. */
import { CHECKSUM_DIGITS } from '../fields/fields.ts';
import { IntegrityError } from './integrity-error.ts';
import { IoError } from './io-error.ts';
import { RequestError } from './request-error.ts';
import type { WireError } from './wire-error.ts';
import { abortReasonOf, WriteAbortedError } from './write-aborted-error.ts';

/** The error that a wire error describes: of our own classes where it was one, else an Error with the same fields. */
export function fromWire(wire: WireError): Error {
  const error = revive(wire);
  // Word for word what was sent: it may come from a version whose texts and advice differ from ours.
  Object.defineProperties(error, {
    name: { value: wire.name, configurable: true, writable: true },
    message: { value: wire.message, configurable: true, writable: true },
  });
  const { name: _name, message: _message, ...fields } = wire;
  return Object.assign(error, fields);
}

function revive(wire: WireError): Error {
  if (wire.name === 'IoError' && wire.syscall !== undefined && wire.errno !== undefined) {
    const { syscall, errno, path, offset, length, hint, code } = wire;
    return new IoError({
      syscall,
      errno,
      code,
      ...(path === undefined ? {} : { path }),
      ...(offset === undefined ? {} : { offset }),
      ...(length === undefined ? {} : { length }),
      ...(hint === undefined ? {} : { hint }),
    });
  }
  if (wire.name === 'RequestError' && wire.field !== undefined) {
    return new RequestError({ field: wire.field, accepted: wire.hint ?? '', message: wire.message });
  }
  if (wire.name === 'IntegrityError') {
    const { code, path, offset, length, expected, found, retryable, hint } = wire;
    const ours = code === 'ECHECKSUM' || code === 'EINTEGRITY';
    const placed = path !== undefined && offset !== undefined && length !== undefined;
    if (ours && placed && expected !== undefined && found !== undefined && hint !== undefined) {
      const algorithm = expected.length === CHECKSUM_DIGITS.sha256 ? 'sha256' : 'crc32c';
      return new IntegrityError({ code, path, offset, length, algorithm, expected, found, retryable, hint });
    }
  }
  if (wire.name === 'WriteAbortedError') {
    const { by, why } = wire;
    const cancelled = by === undefined ? undefined : { by, ...(why === undefined ? {} : { why }) };
    const reason = abortReasonOf(wire.message) ?? (wire.retryable ? 'shutdown' : 'cancel');
    return new WriteAbortedError(reason, cancelled === undefined ? {} : { cancelled });
  }
  return new Error(wire.message);
}
