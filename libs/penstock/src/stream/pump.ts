/** Pushes bytes of the program into the rows of a write. */
import type { RingProducer } from '@penstock/matrix';
import { pieceOf } from '../arguments/bytes.ts';

/** An iteration of strings or bytes, such as any Readable or web stream. */
export type Pieces = AsyncIterable<unknown> | Iterable<unknown>;

/** Pushes all of `bytes` and ends. */
export async function pumpBytes(bytes: Uint8Array, producer: RingProducer): Promise<void> {
  if (await producer.pushAll(bytes)) producer.end();
}

/**
 * Pushes piece after piece, as fast as rows come free, and ends with the last. If the iteration fails, `onFailure` is called and
 * the write fails; if the write ends early, the iteration is left.
 */
export async function pumpPieces(
  pieces: Pieces,
  producer: RingProducer,
  encoding: BufferEncoding | undefined,
  onFailure: (error: unknown) => void,
): Promise<void> {
  try {
    for await (const piece of pieces) {
      const bytes = pieceOf(piece, encoding);
      if (bytes.byteLength > 0 && !(await producer.pushAll(bytes))) return;
    }
    producer.end();
  } catch (error) {
    if (!producer.closed) onFailure(error); // else it failed only because it was left
    producer.fail(error);
  }
}
