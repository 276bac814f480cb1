/** Bytes in the shapes in which programs have them. */
import { RequestError } from '@penstock/contract';

/** Bytes as a whole: text or binary. */
export type Bytes = string | ArrayBufferView | ArrayBuffer | SharedArrayBuffer;

/** A view of `data`, with no copy made but of a string. null if it is neither. */
export function bytesOf(data: unknown, encoding: BufferEncoding = 'utf8'): Uint8Array | null {
  if (typeof data === 'string') return Buffer.from(data, encoding);
  if (data instanceof Uint8Array) return data;
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  if (data instanceof ArrayBuffer || data instanceof SharedArrayBuffer) return new Uint8Array(data);
  return null;
}

/** A piece that an iteration brought. @throws RequestError */
export function pieceOf(piece: unknown, encoding: BufferEncoding | undefined): Uint8Array {
  const bytes = bytesOf(piece, encoding);
  if (bytes !== null) return bytes;
  throw new RequestError({ field: 'data', value: typeof piece, accepted: 'an iteration of strings or bytes' });
}
